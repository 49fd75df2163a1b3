/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.cdmalloc.NodeReport;
import org.cdmalloc.internal.zone.Zone;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;
import org.cdmalloc.topology.Zonelist.Kind;

/**
 * The parts of an open allocator, put together: a zone for each system node, a description of each
 * device node, and the paths between placements and zones. Immutable.
 */
public final class Assembly {
  /**
   * Part of an ordinary node's memory that is designated as a device node.
   *
   * @param node the new node's number
   * @param host the node whose memory it takes
   * @param bytes how much
   */
  public record Arena(int node, int host, long bytes) {}

  private final Machine machine;
  private final MemorySource source;
  private final AllocationPath allocation;
  private final SystemPaths system;
  private final Map<Integer, DeviceZone> devices;

  private Assembly(
      Machine machine,
      MemorySource source,
      AllocationPath allocation,
      SystemPaths system,
      Map<Integer, DeviceZone> devices) {
    this.machine = machine;
    this.source = source;
    this.allocation = allocation;
    this.system = system;
    this.devices = devices;
  }

  /**
   * Reserves the regions of all system nodes and describes the device nodes.
   *
   * @param source where memory comes from
   * @param deviceNodes the device nodes of the source's machine; those without memory make no
   *     difference
   * @param arenas more device nodes, carved out of ordinary ones
   * @param capacities bytes by node, where the user chose
   * @return the parts
   * @throws IllegalArgumentException if an arena, a capacity or the device nodes do not fit the
   *     machine; nothing stays reserved
   */
  public static Assembly of(
      MemorySource source,
      NodeMask deviceNodes,
      Collection<Arena> arenas,
      Map<Integer, Long> capacities) {
    Machine machine = source.machine();
    Map<Integer, Integer> hosts = new HashMap<>();
    for (Arena arena : arenas) {
      if (hosts.containsKey(arena.host())) {
        throw new IllegalArgumentException(
            "an arena cannot be the host of another: node="
                + arena.node()
                + ", host="
                + arena.host()
                + "; name the ordinary node "
                + hosts.get(arena.host()));
      }
      machine = machine.withDeviceArena(arena.node(), arena.host(), arena.bytes());
      hosts.put(arena.node(), arena.host());
    }
    NodeMask devices =
        deviceNodes
            .or(NodeMask.of(hosts.keySet().stream().mapToInt(Integer::intValue).toArray()))
            .and(machine.withMemory());
    NodeMask system = machine.withMemory().without(devices);
    if (system.isEmpty()) {
      throw new IllegalArgumentException(
          "all nodes with memory are device nodes: devices="
              + devices
              + "; name fewer with deviceNodes(mask)");
    }
    Map<Integer, Long> bytes = Capacities.of(machine, system, capacities, source);
    AllocationPath allocation = new AllocationPath(source);
    boolean assembled = false;
    try {
      Map<Integer, BackedZone> zones = new HashMap<>();
      system.stream().forEach(node -> zones.put(node, allocation.add(node, node, bytes.get(node))));
      Map<Integer, DeviceZone> deviceZones = new HashMap<>();
      for (int node : devices.stream().toArray()) {
        int backing = hosts.getOrDefault(node, node);
        deviceZones.put(node, new DeviceZone(node, backing, bytes.get(node), source, allocation));
      }
      SystemPaths paths = new SystemPaths(machine, devices, zones, source);
      Assembly assembly = new Assembly(machine, source, allocation, paths, Map.copyOf(deviceZones));
      assembled = true;
      return assembly;
    } finally {
      if (!assembled) {
        allocation.close();
      }
    }
  }

  /**
   * Returns the machine.
   *
   * @return with the arenas as nodes
   */
  public Machine machine() {
    return machine;
  }

  /**
   * Returns where memory comes from.
   *
   * @return the source
   */
  public MemorySource source() {
    return source;
  }

  /**
   * Returns what allocates and frees.
   *
   * @return the path
   */
  public AllocationPath allocation() {
    return allocation;
  }

  /**
   * Returns the paths of placements on system nodes.
   *
   * @return the paths
   */
  public SystemPaths system() {
    return system;
  }

  /**
   * Returns the device nodes.
   *
   * @return by number
   */
  public Map<Integer, DeviceZone> devices() {
    return devices;
  }

  /**
   * Returns the account of every node that has a capacity.
   *
   * @return one report per node, ascending
   */
  public List<NodeReport> report() {
    Map<Integer, NodeReport> reports = new TreeMap<>();
    devices.forEach(
        (node, device) ->
            reports.put(
                node,
                new NodeReport(
                    node,
                    Kind.DEVICE,
                    device.backingNode(),
                    false,
                    device.capacityBytes(),
                    0,
                    0,
                    0,
                    0,
                    List.of())));
    for (BackedZone backed : allocation.zones()) {
      reports.put(backed.node(), report(backed));
    }
    return new ArrayList<>(reports.values());
  }

  private NodeReport report(BackedZone backed) {
    Zone zone = backed.zone();
    DeviceZone device = devices.get(backed.node());
    return new NodeReport(
        backed.node(),
        device == null ? Kind.SYSTEM : Kind.DEVICE,
        device == null ? backed.node() : device.backingNode(),
        true,
        bytes(zone.capacityPages()),
        bytes(zone.committedPages()),
        bytes(zone.usedPages()),
        zone.liveRuns(),
        bytes(zone.watermarks().lowPages()),
        Arrays.stream(zone.freeBlocksPerOrder()).boxed().collect(Collectors.toList()));
  }

  private static long bytes(int pages) {
    return (long) pages * Zone.PAGE_BYTES;
  }
}
