/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.account;

import java.lang.ref.WeakReference;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;
import org.cdmalloc.NodeAccessException;

/**
 * What one holder of a device's capability uses. Accounts form a tree below the root of the device:
 * each request is charged to the holder's account and to all above it, in usable bytes, before
 * memory is looked for, and credited when the block is freed or was not found. Safe for use by any
 * number of threads.
 */
public final class Account {
  /*
   * Algorithmic notes.
   *
   * State: an allowance per account; the accounts below, weakly, for an account that nobody can use,
   * and which pays for no block, is of no interest; when it was last used.
   *
   * Invariants: (I1) an account's used bytes are at least those of the blocks that it pays for, and of
   * the requests in work, its own and of all accounts below; (I2) at rest they are equal; (I3) they
   * never exceed the account's quota.
   *
   * A charge goes from the account to the root, one compare-and-set each, and takes back what it added
   * if one refuses. So a request in work counts as served until it is known that it is not: another
   * one that would fit only if it were not may be turned away. Ending an account before or after any
   * of these steps is the same to its holders: whatever was charged completes, nothing else begins.
   *
   * Memory order: that of the allowances' words. The time of the last use is a plain figure.
   */

  private final int node;
  private final String name;
  private final Account parent;
  private final Allowance quota;
  private final Allowance ceiling;
  private final List<Allowance> spills;
  private final LongSupplier nanoTime;
  private final AtomicInteger narrowed = new AtomicInteger();
  private final AtomicLong ids;
  private final long id;
  private final AtomicLong spilled = new AtomicLong();

  /** Guarded by itself. */
  private final List<WeakReference<Account>> below = new ArrayList<>();

  /** How many of them there may be before those are looked for that are gone; guarded by it. */
  private int pruneAt = 1;

  private volatile long lastUseNanos;

  private Account(
      int node,
      String name,
      Account parent,
      Allowance quota,
      Allowance ceiling,
      List<Allowance> spills,
      AtomicLong ids,
      LongSupplier nanoTime) {
    this.node = node;
    this.name = name;
    this.parent = parent;
    this.quota = quota;
    this.ceiling = ceiling;
    this.spills = spills;
    this.ids = ids;
    this.id = ids.incrementAndGet();
    this.nanoTime = nanoTime;
    this.lastUseNanos = nanoTime.getAsLong();
  }

  /**
   * Makes the root account of a device, without quota, strict, and without a ceiling on what is
   * spilled.
   *
   * @param node the device's number
   * @param nanoTime tells the time
   * @return a new account
   */
  public static Account root(int node, LongSupplier nanoTime) {
    Allowance all = new Allowance(Allowance.UNLIMITED);
    Allowance ceiling = new Allowance(Allowance.UNLIMITED);
    return new Account(
        node, "device" + node, null, all, ceiling, List.of(), new AtomicLong(), nanoTime);
  }

  /**
   * Makes a narrower account that may use so much.
   *
   * @param quotaBytes in usable bytes, or {@link Allowance#UNLIMITED}
   * @return a new account below this one
   */
  public Account withQuota(long quotaBytes) {
    return narrow(nextName(), new Allowance(quotaBytes), spills);
  }

  /**
   * Makes a narrower account that may spill, within the device's ceiling.
   *
   * @param spill how much, beside what the accounts above may
   * @return a new account below this one
   */
  public Account spilling(Allowance spill) {
    // The same allowance twice in a chain is still one number.
    Set<Allowance> chain = new LinkedHashSet<>(List.of(ceiling));
    chain.addAll(spills);
    chain.add(spill);
    return narrow(nextName(), new Allowance(Allowance.UNLIMITED), List.copyOf(chain));
  }

  /**
   * Makes a narrower account with a name.
   *
   * @param name for reports
   * @return a new account below this one
   */
  public Account named(String name) {
    return narrow(name, new Allowance(Allowance.UNLIMITED), spills);
  }

  private String nextName() {
    return Integer.toString(narrowed.incrementAndGet());
  }

  private Account narrow(String name, Allowance allowance, List<Allowance> spilled) {
    Account account = new Account(node, name, this, allowance, ceiling, spilled, ids, nanoTime);
    synchronized (below) {
      if (below.size() >= pruneAt) {
        below.removeIf(reference -> reference.get() == null);
        pruneAt = 2 * below.size() + 1;
      }
      below.add(new WeakReference<>(account));
    }
    return account;
  }

  /**
   * Charges this account and all above it, or none.
   *
   * @param bytes usable bytes
   * @return null if they were charged, else the account whose quota is too small
   * @throws NodeAccessException if this account or one above was ended; nothing is charged
   */
  public Account charge(long bytes) {
    touch();
    for (Account account = this; account != null; account = account.parent) {
      if (!account.quota.tryAdd(bytes)) {
        uncharge(account, bytes);
        // A quota that is used up says nothing where an account above was ended.
        requireNotEnded();
        return account;
      }
    }
    return null;
  }

  private void uncharge(Account end, long bytes) {
    for (Account account = this; account != end; account = account.parent) {
      account.quota.subtract(bytes);
    }
  }

  private void touch() {
    long now = nanoTime.getAsLong();
    for (Account account = this; account != null; account = account.parent) {
      account.lastUseNanos = now;
    }
  }

  /**
   * Credits what was charged.
   *
   * @param bytes usable bytes
   */
  public void credit(long bytes) {
    touch();
    uncharge(null, bytes);
  }

  /** Takes bytes of everything that bounds what this account may spill, or of nothing. */
  boolean spill(long bytes) {
    // The narrowest first: whoever has spilled all it may takes nothing of what it shares.
    int untaken = spills.size();
    while (untaken > 0 && spills.get(untaken - 1).tryAdd(bytes)) {
      untaken--;
    }
    if (untaken == 0 && !spills.isEmpty()) {
      addSpilled(bytes);
      return true;
    }
    subtractFrom(untaken, bytes);
    return false;
  }

  /** Gives back what {@link #spill} took. */
  void unspill(long bytes) {
    subtractFrom(0, bytes);
    addSpilled(-bytes);
  }

  /** By index: what gives something back needs nothing of the Java heap. */
  private void subtractFrom(int first, long bytes) {
    for (int i = first; i < spills.size(); i++) {
      spills.get(i).subtract(bytes);
    }
  }

  private void addSpilled(long bytes) {
    for (Account account = this; account != null; account = account.parent) {
      account.spilled.addAndGet(bytes);
    }
  }

  /**
   * Takes bytes of the device's ceiling alone, for blocks that are put into system memory though
   * nobody spills them.
   *
   * @param bytes how many, not negative
   * @return false if they do not fit below it; nothing changed
   */
  public boolean chargeCeiling(long bytes) {
    return ceiling.tryAdd(bytes);
  }

  /**
   * Gives back what {@link #chargeCeiling} took.
   *
   * @param bytes how many
   */
  public void creditCeiling(long bytes) {
    ceiling.subtract(bytes);
  }

  /**
   * Returns what bounds the system memory in which blocks of all the device's holders lie together.
   *
   * @return the same for each account of a device
   */
  public Allowance ceiling() {
    return ceiling;
  }

  /**
   * Returns what this account and those below it have of the system's memory.
   *
   * @return bytes
   */
  public long allSpilledBytes() {
    return spilled.get();
  }

  /**
   * Returns what bounds the memory of the system that this account may use.
   *
   * @return from the widest, the device's ceiling, to the narrowest; none if it is strict
   */
  public List<Allowance> spills() {
    return spills;
  }

  /** Lets nothing more be charged to this account, or to one below it. */
  public void end() {
    quota.end();
  }

  /**
   * Throws if nothing can be charged to this account any more.
   *
   * @throws NodeAccessException if so
   */
  public void requireNotEnded() {
    Account ended = firstEnded();
    if (ended != null) {
      throw ended(ended);
    }
  }

  private Account firstEnded() {
    Account account = this;
    while (account != null && !account.quota.isEnded()) {
      account = account.parent;
    }
    return account;
  }

  private NodeAccessException ended(Account account) {
    return new NodeAccessException(
        "capability was revoked: node="
            + node
            + ", holder="
            + holder()
            + ", revoked="
            + account.holder()
            + "; ask whoever revoked it for another one");
  }

  /**
   * Tells whether nothing can be charged any more.
   *
   * @return true if this account or one above was ended
   */
  public boolean isEnded() {
    return firstEnded() != null;
  }

  /**
   * Tells whether this account is another one or below it.
   *
   * @param other any account
   * @return true if so
   */
  public boolean isWithin(Account other) {
    Account account = this;
    while (account != null && account != other) {
      account = account.parent;
    }
    return account != null;
  }

  /**
   * Returns the account of the device as a whole.
   *
   * @return this one if there is none above
   */
  public Account root() {
    Account account = this;
    while (account.parent != null) {
      account = account.parent;
    }
    return account;
  }

  /**
   * Returns this account and all below it that are in use.
   *
   * @return an account before those below it
   */
  public List<Account> all() {
    List<Account> accounts = new ArrayList<>();
    Deque<Account> rest = new ArrayDeque<>(List.of(this));
    while (!rest.isEmpty()) {
      Account next = rest.pop();
      accounts.add(next);
      List<Account> children = next.children();
      for (int i = children.size() - 1; i >= 0; i--) {
        rest.push(children.get(i));
      }
    }
    return accounts;
  }

  /** Returns the accounts right below this one, the oldest first. */
  private List<Account> children() {
    List<Account> children = new ArrayList<>();
    synchronized (below) {
      for (WeakReference<Account> reference : below) {
        Account child = reference.get();
        if (child != null) {
          children.add(child);
        }
      }
    }
    return children;
  }

  /**
   * Returns the account's number.
   *
   * @return no other account of the device ever has it; positive
   */
  public long id() {
    return id;
  }

  /**
   * Returns the device.
   *
   * @return its number
   */
  public int node() {
    return node;
  }

  /**
   * Returns who holds the capability.
   *
   * @return a path of names from the root on
   */
  public String holder() {
    Deque<String> names = new ArrayDeque<>();
    for (Account account = this; account != null; account = account.parent) {
      names.push(account.name);
    }
    return String.join("/", names);
  }

  /**
   * Returns what bounds this account.
   *
   * @return its quota
   */
  public Allowance quota() {
    return quota;
  }

  /**
   * Returns when something was last asked for or freed in this account or one below, or when it was
   * made.
   *
   * @return the time of the account's clock
   */
  public long lastUseNanos() {
    return lastUseNanos;
  }

  /**
   * Returns the time.
   *
   * @return nanoseconds of the account's clock, which count from anywhere
   */
  public long nowNanos() {
    return nanoTime.getAsLong();
  }

  /**
   * Returns the time since something was last asked for or freed in this account or one below, or
   * since it was made.
   *
   * @return nanoseconds
   */
  public long idleNanos() {
    return Math.max(0, nowNanos() - lastUseNanos);
  }
}
