/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.util.function.IntFunction;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.topology.Machine;

/**
 * A path for the callers of each node, made when the first of them calls: on a machine of many
 * nodes most placements are used from a few.
 */
final class CallerPaths implements Paths {
  private static final int ASK = -1;

  private final Machine machine;
  private final MemorySource source;
  private final IntFunction<ZonePath> maker;

  /** The node of all callers where only one node has CPUs, else {@link #ASK}. */
  private final int only;

  /**
   * One path per node number. Written without order: a path is immutable, and whoever does not see
   * another's makes an equal one.
   */
  private final ZonePath[] byCaller;

  /**
   * Makes the paths of a machine's callers.
   *
   * @param machine whose online nodes may be a caller's
   * @param source asked for the caller's node
   * @param maker from a caller's node to its path
   */
  CallerPaths(Machine machine, MemorySource source, IntFunction<ZonePath> maker) {
    this.machine = machine;
    this.source = source;
    this.maker = maker;
    this.only = machine.withCpus().size() == 1 ? machine.withCpus().first() : ASK;
    this.byCaller = new ZonePath[machine.online().last() + 1];
  }

  @Override
  public ZonePath choose(long bytes) {
    int caller = only != ASK ? only : source.currentNode();
    ZonePath path = caller >= 0 && caller < byCaller.length ? byCaller[caller] : null;
    return path != null ? path : make(caller);
  }

  @Override
  public boolean isByCaller() {
    return true;
  }

  private ZonePath make(int asked) {
    int caller = machine.online().contains(asked) ? asked : machine.online().first();
    ZonePath path = maker.apply(caller);
    byCaller[caller] = path;
    return path;
  }
}
