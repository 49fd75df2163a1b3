/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import org.cdmalloc.NodeAccessException;
import org.cdmalloc.internal.zone.Watermarks;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.topology.Machine;

/**
 * A device node's zone and whether it is there: nothing of the node is reserved before it is
 * brought online. Its path holds itself alone, so a request that walks it can reach nothing else.
 */
public final class DeviceZone implements Paths {
  private final int node;
  private final int backingNode;
  private final long capacityBytes;
  private final Watermarks watermarks;
  private final Machine machine;
  private final MemorySource source;
  private final AllocationPath allocation;

  /** Guarded by this. */
  private BackedZone zone;

  /** Null until online; written under this object's lock, once. */
  private volatile CallerPaths paths;

  /**
   * Describes a device zone.
   *
   * @param node the device node
   * @param backingNode the node whose memory backs it; another one for a designated arena
   * @param capacityBytes how much will be reserved
   * @param watermarks the zone's marks
   * @param machine whose nodes its callers run on
   * @param source where from
   * @param allocation what takes the zone in once it is online
   */
  public DeviceZone(
      int node,
      int backingNode,
      long capacityBytes,
      Watermarks watermarks,
      Machine machine,
      MemorySource source,
      AllocationPath allocation) {
    this.node = node;
    this.backingNode = backingNode;
    this.capacityBytes = capacityBytes;
    this.watermarks = watermarks;
    this.machine = machine;
    this.source = source;
    this.allocation = allocation;
  }

  /**
   * Reserves the node's region. Does nothing if that was done.
   *
   * @throws NodeAccessException if the kernel refuses to bind the region, so that nobody could say
   *     where its memory lies; nothing stays reserved
   * @throws IllegalStateException if the allocator is closed
   */
  public synchronized void online() {
    if (zone != null) {
      zone.requireOpen();
      return;
    }
    if (!source.diagnosis().binds()) {
      throw new NodeAccessException(
          "cannot bring a device node online here: node="
              + node
              + "; "
              + source.diagnosis().obstacle());
    }
    zone =
        allocation.add(
            () -> BackedZone.ofNode(node, backingNode, capacityBytes, watermarks, source));
    paths = new CallerPaths(machine, source, caller -> new ZonePath(caller, false, false, zone));
  }

  /**
   * {@inheritDoc} The node's own zone, with all of its pages.
   *
   * @throws IllegalStateException if the node is not online
   */
  @Override
  public ZonePath choose(long bytes) {
    CallerPaths online = paths;
    if (online == null) {
      throw new IllegalStateException(
          "device node is not online: node=" + node + "; call DeviceNode.online() first");
    }
    return online.choose(bytes);
  }

  /**
   * Returns the device node.
   *
   * @return its number
   */
  public int node() {
    return node;
  }

  /**
   * Returns the node whose memory backs the zone.
   *
   * @return the device node itself, or the host of a designated arena
   */
  public int backingNode() {
    return backingNode;
  }

  /**
   * Returns how much will be or was reserved.
   *
   * @return bytes
   */
  public long capacityBytes() {
    return capacityBytes;
  }

  /**
   * Tells whether the region was reserved.
   *
   * @return true once online
   */
  public boolean isOnline() {
    return paths != null;
  }
}
