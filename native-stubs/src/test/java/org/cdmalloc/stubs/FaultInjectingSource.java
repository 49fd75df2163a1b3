/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import java.util.EnumSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import org.cdmalloc.NativeCallException;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.CommitResult.Outcome;
import org.cdmalloc.spi.MemorySource;

/**
 * Any source, some of whose calls fail as a kernel's would: any call, any error, any time.
 *
 * <pre>{@code
 * FaultInjectingSource source = new FaultInjectingSource(EmulatedSource.of(machine));
 * source.at(SourceCall.COMMIT, 3).errno(Errno.ENOMEM);              // the third commit from now
 * source.from(SourceCall.PURGE, 1).afterEffect().errno(Errno.EIO);  // every purge, done all the same
 * source.randomly(seed, 0.05, SourceCall.COMMIT).result(Outcome.NODE_FULL);
 * }</pre>
 *
 * <p>A rule counts calls from the moment it is completed by {@code errno}, {@code result} or
 * another method that says how they fail. Of several rules that are due, the one completed first
 * decides; all of them count. Safe for use by any number of threads.
 */
public final class FaultInjectingSource extends InterceptedSource {
  /** Error numbers of Linux (include/uapi/asm-generic/errno-base.h and errno.h). */
  public enum Errno {
    /** Not permitted. */
    EPERM(1),
    /** Not there. */
    ENOENT(2),
    /** No such process. */
    ESRCH(3),
    /** Interrupted. */
    EINTR(4),
    /** I/O error; of mbind(2): a page lies elsewhere. */
    EIO(5),
    /** Argument list too long. */
    E2BIG(7),
    /** Try again. */
    EAGAIN(11),
    /** Out of memory or of mappings. */
    ENOMEM(12),
    /** Permission denied. */
    EACCES(13),
    /** Bad address. */
    EFAULT(14),
    /** In use. */
    EBUSY(16),
    /** No such device or node. */
    ENODEV(19),
    /** Invalid argument. */
    EINVAL(22),
    /** Too many open files in the system. */
    ENFILE(23),
    /** Too many open files in the process. */
    EMFILE(24),
    /** No space left. */
    ENOSPC(28),
    /** No such call. */
    ENOSYS(38),
    /** Not supported. */
    EOPNOTSUPP(95),
    /** A page has a hardware error. */
    EHWPOISON(133);

    private final int number;

    Errno(int number) {
      this.number = number;
    }

    /**
     * Returns the number.
     *
     * @return as errno(3)
     */
    public int number() {
      return number;
    }
  }

  private static final Set<SourceCall> REFUSABLE =
      EnumSet.of(SourceCall.LOCK, SourceCall.MOVE, SourceCall.ROOM);

  private final List<Rule> rules = new CopyOnWriteArrayList<>();
  private final AtomicInteger injected = new AtomicInteger();

  /**
   * Wraps a source; nothing fails before there is a rule.
   *
   * @param source what calls are handed to
   */
  public FaultInjectingSource(MemorySource source) {
    super(source);
  }

  /**
   * When calls fail, and how. Takes part once {@link #errno}, {@link #result}, {@link #refusal},
   * {@link #part} or {@link #outOfMemory} was called.
   */
  public final class Rule {
    private final Set<SourceCall> calls;
    private final BooleanSupplier due;
    private boolean afterEffect;
    private Function<Invocation<?>, Object> answer;

    private Rule(Set<SourceCall> calls, BooleanSupplier due) {
      this.calls = calls;
      this.due = due;
    }

    /**
     * Lets the real call happen first. What a reservation or a commit took is then given back, as
     * the port demands of a failing method; a purge or a release stays done.
     *
     * @return this
     */
    public Rule afterEffect() {
      afterEffect = true;
      return this;
    }

    /**
     * Lets the calls fail with an error of the platform.
     *
     * @param error which
     */
    public void errno(Errno error) {
      Objects.requireNonNull(error, "error");
      complete(
          call -> {
            throw new NativeCallException(
                call.call().method(),
                error.number(),
                error.name(),
                "injected=true, after_effect=" + afterEffect + ", " + call.arguments());
          });
    }

    /**
     * Lets commits answer that something is full.
     *
     * @param full any outcome but {@link Outcome#COMMITTED}, which would be a lie
     * @throws IllegalArgumentException if it is, or if the rule is about other calls
     */
    public void result(Outcome full) {
      if (full == Outcome.COMMITTED || !calls.equals(EnumSet.of(SourceCall.COMMIT))) {
        throw new IllegalArgumentException("no fault: outcome=" + full + ", calls=" + calls);
      }
      CommitResult result = new CommitResult(full, "injected=true");
      complete(call -> result);
    }

    /**
     * Lets locks answer that a limit was reached; moves, and who asks for room, that a node is
     * full.
     *
     * @throws IllegalArgumentException if the rule is about other calls
     */
    public void refusal() {
      if (!REFUSABLE.containsAll(calls)) {
        throw new IllegalArgumentException("nothing to refuse: calls=" + calls);
      }
      complete(call -> call.refusal().happen());
    }

    /**
     * Lets moves leave half of the pages where they are.
     *
     * @throws IllegalArgumentException if the rule is about other calls
     */
    public void part() {
      if (!calls.equals(EnumSet.of(SourceCall.MOVE))) {
        throw new IllegalArgumentException("no moves: calls=" + calls);
      }
      complete(call -> call.part().happen());
    }

    /** Lets the calls find no room in the Java heap. */
    public void outOfMemory() {
      complete(
          call -> {
            throw new OutOfMemoryError("injected=true, call=" + call.call().method());
          });
    }

    private void complete(Function<Invocation<?>, Object> how) {
      answer = how;
      rules.add(this);
    }
  }

  /**
   * Starts a rule about one call.
   *
   * @param call which kind
   * @param nth how many of them until the one that fails, from 1
   * @return the rule
   */
  public Rule at(SourceCall call, int nth) {
    AtomicInteger seen = new AtomicInteger();
    return new Rule(EnumSet.of(call), () -> seen.incrementAndGet() == nth);
  }

  /**
   * Starts a rule about a call and all that follow.
   *
   * @param call which kind
   * @param nth how many of them until the first that fails, from 1
   * @return the rule
   */
  public Rule from(SourceCall call, int nth) {
    AtomicInteger seen = new AtomicInteger();
    return new Rule(EnumSet.of(call), () -> seen.incrementAndGet() >= nth);
  }

  /**
   * Starts a rule about calls drawn at random: the same ones for the same seed and order of calls.
   *
   * @param seed of the draws
   * @param probability of each call to fail, 0 … 1
   * @param calls which kinds
   * @return the rule
   */
  public Rule randomly(long seed, double probability, SourceCall... calls) {
    SplittableRandom random = new SplittableRandom(seed);
    return new Rule(
        EnumSet.copyOf(List.of(calls)),
        () -> {
          synchronized (random) {
            return random.nextDouble() < probability;
          }
        });
  }

  /** Drops all rules. */
  public void clear() {
    rules.clear();
  }

  /**
   * Counts the faults.
   *
   * @return how many calls were made to fail so far
   */
  public int injected() {
    return injected.get();
  }

  @Override
  <T> T intercept(Invocation<T> invocation) {
    Rule decides = null;
    for (Rule rule : rules) {
      if (rule.calls.contains(invocation.call()) && rule.due.getAsBoolean() && decides == null) {
        decides = rule;
      }
    }
    if (decides == null) {
      return invocation.effect().happen();
    }
    if (decides.afterEffect) {
      invocation.vain().run();
    }
    injected.incrementAndGet();
    @SuppressWarnings("unchecked") // a rule with an answer is about calls that answer it
    T answer = (T) decides.answer.apply(invocation);
    return answer;
  }
}
