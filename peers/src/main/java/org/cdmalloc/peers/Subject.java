/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import java.util.concurrent.atomic.AtomicInteger;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;

/**
 * What a fork measures: one peer and one choice of sizes. The peer is not closed: the JVM ends with
 * the work, while other threads may still be on their way out.
 */
@State(Scope.Benchmark)
public class Subject {
  /** So that threads do not ask for the same sizes at the same time. */
  private static final int STRIDE = 1531;

  /** The peer's name. */
  @Param("nothing")
  public String peer;

  /** The sizes' name. */
  @Param("256")
  public String size;

  private final AtomicInteger callers = new AtomicInteger();
  private Peer memory;
  private int[] table;

  /** Opens the peer. */
  @Setup
  public void open() {
    memory = Peers.open(peer);
    table = Sizes.table(size);
  }

  Peer memory() {
    return memory;
  }

  /** Returns sizes for one more thread. */
  Sizes sizes() {
    return Sizes.of(table, STRIDE * callers.getAndIncrement());
  }
}
