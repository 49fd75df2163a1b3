/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.util.concurrent.atomic.AtomicLong;

/**
 * What all holders of one device know of it together. Everything only grows, so that a report which
 * is read between two looks must lie between what they say. Safe for use by any number of threads.
 */
final class DeviceLedger {
  static final String WRONG = "a device's account is not its holders'";

  private final DeviceNode device;
  private final AtomicLong askedBytes = new AtomicLong();
  private final AtomicLong gotBytes = new AtomicLong();
  private final AtomicLong leavingBytes = new AtomicLong();
  private final AtomicLong leftBytes = new AtomicLong();
  private final AtomicLong asked = new AtomicLong();
  private final AtomicLong got = new AtomicLong();
  private volatile boolean online;

  DeviceLedger(DeviceNode device) {
    this.device = device;
  }

  DeviceNode device() {
    return device;
  }

  /** Tells whether the device may be asked. */
  boolean isOnline() {
    return online;
  }

  void cameOnline() {
    online = true;
  }

  /** Happens before a request. */
  void ask(long bytes) {
    askedBytes.addAndGet(bytes);
    asked.incrementAndGet();
  }

  /** Happens after it; what nobody got has left again. */
  void answer(long bytes, boolean served) {
    if (served) {
      got.incrementAndGet();
    } else {
      leftBytes.addAndGet(bytes);
      leavingBytes.addAndGet(bytes);
    }
    gotBytes.addAndGet(bytes);
  }

  /** Happens before blocks are freed. */
  void leave(long bytes) {
    leavingBytes.addAndGet(bytes);
  }

  /** Happens after blocks were freed. */
  void left(long bytes) {
    leftBytes.addAndGet(bytes);
  }

  /**
   * Compares a report with what the holders know, whether or not they go on meanwhile.
   *
   * @param memory whose report
   * @param violations takes what does not agree
   */
  void check(NodeAllocator memory, Violations violations) {
    // Before the report what was done for sure, after it what may have been.
    long gotBefore = gotBytes.get();
    long leftBefore = leftBytes.get();
    long leastHits = got.get();
    NodeReport node = memory.report().node(device.node());
    long least = gotBefore - leavingBytes.get();
    long most = askedBytes.get() - leftBefore;
    NumaCounters counters = node.counters();
    boolean agrees =
        node.usedBytes() >= least
            && node.usedBytes() <= most
            && counters.numaHit() >= leastHits
            && counters.numaHit() <= asked.get()
            && counters.numaMiss() + counters.numaForeign() + counters.interleaveHit() == 0
            && node.stripedBytes() + node.movedInBytes() + node.movedOutBytes() == 0;
    if (!agrees) {
      violations.add(
          WRONG, node + ", used=" + least + "-" + most + ", hits=" + leastHits + "-" + asked);
    }
  }

  /** The same while nobody works, when nothing is left to doubt. */
  void checkAtRest(NodeAllocator memory, Violations violations) {
    check(memory, violations);
    NodeReport node = memory.report().node(device.node());
    long held = gotBytes.get() - leftBytes.get();
    if (node.usedBytes() != held || node.counters().numaHit() != got.get()) {
      violations.add(WRONG, node + ", held=" + held + ", hits=" + got);
    }
  }
}
