/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.util.concurrent.atomic.AtomicInteger;

/**
 * The paths of an interleaving: what is as long as an OS page lies on all nodes and comes from a
 * striped zone; smaller blocks go round the nodes, one after another ({@code interleave_nodes} of
 * Linux mm/mempolicy.c, but for one counter for all threads).
 */
final class TurnPaths implements Paths {
  private final int osPageBytes;
  private final Paths striped;
  private final Paths[] turns;
  private final AtomicInteger next = new AtomicInteger();

  /**
   * Makes the paths.
   *
   * @param osPageBytes from this size on blocks are striped
   * @param striped the paths of those blocks, or null where none are
   * @param turns the paths of all others, in the order of one round
   */
  TurnPaths(int osPageBytes, Paths striped, Paths[] turns) {
    this.osPageBytes = osPageBytes;
    this.striped = striped;
    this.turns = turns;
  }

  @Override
  public ZonePath choose(long bytes) {
    if (striped != null && bytes >= osPageBytes) {
      return striped.choose(bytes);
    }
    int turn = Integer.remainderUnsigned(next.getAndIncrement(), turns.length);
    return turns[turn].choose(bytes);
  }
}
