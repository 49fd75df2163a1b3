/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import java.util.concurrent.atomic.AtomicLong;
import org.cdmalloc.topology.Node;

/** The memory of one emulated node that is committed. Safe for use by any number of threads. */
final class NodeAccount {
  private final Node node;
  private final AtomicLong freeBytes;

  NodeAccount(Node node) {
    this.node = node;
    this.freeBytes = new AtomicLong(node.bytes());
  }

  long freeBytes() {
    return freeBytes.get();
  }

  /** Takes all of {@code bytes}, or nothing and returns false. */
  boolean tryTake(long bytes) {
    long free;
    do {
      free = freeBytes.get();
      if (bytes > free) {
        return false;
      }
    } while (!freeBytes.compareAndSet(free, free - bytes));
    return true;
  }

  /** Gives back what was taken. */
  void give(long bytes) {
    long free = freeBytes.addAndGet(bytes);
    assert free <= node.bytes() : "node=" + node.id() + ", free=" + free;
  }
}
