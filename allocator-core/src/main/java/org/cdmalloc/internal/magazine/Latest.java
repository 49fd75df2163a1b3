/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.magazine;

import java.lang.invoke.VarHandle;

/**
 * What each thread used last, of all allocators. Safe for use by any number of threads; each is
 * shown its own only.
 */
final class Latest {
  /*
   * Algorithmic notes.
   *
   * A hit takes as long as its chain of loads of which each needs the one before, so what it begins
   * with is one load away: a constant table, in which a thread has a place by its number. An entry
   * says whose it is. Threads write their places plainly; of two that share a place each may find the
   * other's entry there, and then goes the longer way, as it does where it used something else last.
   * What a thread reads of another one's entry is final.
   *
   * An entry must not outlive its allocator. Who enters fences and then looks whether the depot is
   * closed; who closes closes the depots, and then clears the places: one of them sees the other.
   */

  private static final int FEWEST = 64;
  private static final int MOST = 1 << 12;
  private static final int PER_PROCESSOR = 8;

  /** A power of two: some places for each thread that can run at once. */
  private static final int PLACES =
      Math.max(
          FEWEST,
          Math.min(
              MOST,
              Integer.highestOneBit(PER_PROCESSOR * Runtime.getRuntime().availableProcessors())));

  private static final Choice[] CHOICES = new Choice[PLACES];
  private static final Magazines[] MAGAZINES = new Magazines[PLACES];

  private Latest() {}

  /** Threads that begin one after the other have different places. */
  private static int place(Thread thread) {
    return (int) VirtualThreads.id(thread) & (PLACES - 1);
  }

  /** Returns what the caller chose last, if that was for some requests; else null. */
  static Choice choice(Object requests) {
    Thread caller = Thread.currentThread();
    Choice choice = CHOICES[place(caller)];
    return choice != null && choice.owner == caller && choice.requests == requests ? choice : null;
  }

  /** Returns the magazines that the caller used last, if they are of an allocator; else null. */
  static Magazines magazines(Object allocator) {
    Thread caller = Thread.currentThread();
    Magazines magazines = MAGAZINES[place(caller)];
    return magazines != null && magazines.owner == caller && magazines.allocator == allocator
        ? magazines
        : null;
  }

  /** Enters what a thread chose. */
  static void enter(Choice choice) {
    int place = place(choice.owner);
    // A place lies beside others', whose threads read them: it is not written without need.
    if (CHOICES[place] != choice) {
      CHOICES[place] = choice;
      fence(choice.magazines());
    }
    enter(choice.magazines());
  }

  /** Enters the magazines that a thread uses. */
  static void enter(Magazines magazines) {
    int place = place(magazines.owner);
    if (MAGAZINES[place] != magazines) {
      MAGAZINES[place] = magazines;
      fence(magazines);
    }
  }

  private static void fence(Magazines magazines) {
    VarHandle.fullFence();
    if (magazines.depot().isClosed()) {
      leave(magazines.owner);
    }
  }

  /** Forgets what a thread used last. */
  static void leave(Thread owner) {
    int place = place(owner);
    Choice choice = CHOICES[place];
    if (choice != null && choice.owner == owner) {
      CHOICES[place] = null;
    }
    Magazines magazines = MAGAZINES[place];
    if (magazines != null && magazines.owner == owner) {
      MAGAZINES[place] = null;
    }
  }
}
