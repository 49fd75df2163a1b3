/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

/**
 * Where a device node is in its life. A system node is {@link #ONLINE} from the opening of the
 * allocator to its end.
 *
 * <table>
 * <caption>What leads from one state to another</caption>
 * <tr><th>from</th><th>to</th><th>by</th></tr>
 * <tr><td>POSSIBLE, OFFLINE</td><td>ONLINE</td><td>{@link DeviceNode#online()}</td></tr>
 * <tr><td>ONLINE</td><td>DRAINING</td><td>{@link DeviceNode#offline()}</td></tr>
 * <tr><td>DRAINING</td><td>OFFLINE</td><td>{@link DeviceNode#offline()}, nothing lies there
 * now</td></tr>
 * <tr><td>DRAINING</td><td>ONLINE</td><td>{@link DeviceNode#online()}, on second thoughts</td></tr>
 * <tr><td>all but FAILED</td><td>FAILED</td><td>{@link DeviceNode#fail}</td></tr>
 * </table>
 */
public enum NodeState {
  /** It was never online: nothing of it is reserved, touched or listed. */
  POSSIBLE,

  /** It serves those who have the right to it. */
  ONLINE,

  /**
   * It is to go offline, and blocks lie there: they can be used, moved and freed, and no new ones
   * are given out. To its holders it is full.
   */
  DRAINING,

  /** Nothing lies there any more; its memory went back to the kernel. */
  OFFLINE,

  /** It was lost, with what lay there. It does not come back in this allocator. */
  FAILED;

  /**
   * Tells whether blocks may lie on a node in this state, and their addresses be given out.
   *
   * @return true for {@link #ONLINE} and {@link #DRAINING}
   */
  public boolean isServing() {
    return this == ONLINE || this == DRAINING;
  }

  /**
   * Tells whether one step leads to another state.
   *
   * @param next the other state
   * @return true as the table has it
   */
  public boolean canBecome(NodeState next) {
    return switch (next) {
      case POSSIBLE -> false;
      case ONLINE -> this == POSSIBLE || this == OFFLINE || this == DRAINING;
      case DRAINING -> this == ONLINE;
      case OFFLINE -> this == DRAINING;
      case FAILED -> this != FAILED;
    };
  }
}
