/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.util.List;
import java.util.Objects;

/**
 * What came of {@link DeviceNode#offline()}. Immutable.
 *
 * @param node the device node
 * @param state {@link NodeState#OFFLINE} if nothing lies there any more, {@link NodeState#DRAINING}
 *     if something does; {@link NodeState#FAILED} if the node was lost meanwhile
 * @param movedBytes what was moved away this time
 * @param blockers what lies there still, by address; of what is allocated, freed or moved meanwhile
 *     some may be missing
 */
public record DrainReport(int node, NodeState state, long movedBytes, List<Blocker> blockers) {
  /** What keeps a block where it is. */
  public enum Cause {
    /** It is pinned. */
    PINNED,
    /** It is lent to a device. */
    LENT,
    /** Its user has it, and it was not moved; the reason says why. */
    OUTSTANDING,
    /** A request or a free is at work on it; ask again. */
    IN_WORK
  }

  /**
   * A block that keeps a node from going offline.
   *
   * @param cause what keeps it there
   * @param holder who pays for it, as {@link HolderReport#holder()}; {@code system} for a block of
   *     system memory that nobody pays for
   * @param address its first byte
   * @param bytes how much of it lies on the node
   * @param reason why it was not moved, in words
   */
  public record Blocker(Cause cause, String holder, long address, long bytes, String reason) {
    /**
     * Makes an entry.
     *
     * @param cause as {@link #cause()}
     * @param holder as {@link #holder()}
     * @param address as {@link #address()}
     * @param bytes as {@link #bytes()}
     * @param reason as {@link #reason()}
     * @throws NullPointerException if an argument is null
     */
    public Blocker {
      Objects.requireNonNull(cause, "cause");
      Objects.requireNonNull(holder, "holder");
      Objects.requireNonNull(reason, "reason");
    }

    /** Prints {@code PINNED holder=device2/cache, address=0x7f…, bytes=4096: …}. */
    @Override
    public String toString() {
      return cause
          + " holder="
          + holder
          + ", address=0x"
          + Long.toHexString(address)
          + ", bytes="
          + bytes
          + ": "
          + reason;
    }
  }

  /**
   * Makes a report; the list is copied.
   *
   * @param node as {@link #node()}
   * @param state as {@link #state()}
   * @param movedBytes as {@link #movedBytes()}
   * @param blockers as {@link #blockers()}
   * @throws NullPointerException if an argument or an element is null
   */
  public DrainReport {
    Objects.requireNonNull(state, "state");
    blockers = List.copyOf(blockers);
  }

  /**
   * Tells whether the node is offline.
   *
   * @return true if so
   */
  public boolean isOffline() {
    return state == NodeState.OFFLINE;
  }
}
