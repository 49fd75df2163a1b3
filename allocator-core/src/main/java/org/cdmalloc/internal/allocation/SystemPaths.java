/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.cdmalloc.NodeAccessException;
import org.cdmalloc.Placement;
import org.cdmalloc.internal.zonelist.CallerLists;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.topology.LoadRule;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;
import org.cdmalloc.topology.SpillMode;

/**
 * Turns a placement on system nodes into the zones that it may use. Each placement is resolved
 * once; device zones are in none of the results, so the walk needs no rule about them.
 */
public final class SystemPaths {
  private final Machine machine;
  private final NodeMask devices;
  private final NodeMask system;
  private final Map<Integer, BackedZone> zones;
  private final MemorySource source;
  private final CallerLists callers;

  /** One path per node number for LOCAL; null where no node is online. */
  private final ZonePath[] local;

  /** The path of every caller, if they all have the same; else null. */
  private final ZonePath onlyLocal;

  private final Map<Placement, ZonePath[]> resolved = new ConcurrentHashMap<>();

  /**
   * Prepares the paths of a machine.
   *
   * @param machine the machine
   * @param devices its device nodes
   * @param zones the zones of all system nodes with memory, by node
   * @param source asked for the caller's node, and why a region is not bound
   */
  public SystemPaths(
      Machine machine, NodeMask devices, Map<Integer, BackedZone> zones, MemorySource source) {
    this.machine = machine;
    this.devices = devices;
    this.system = machine.withMemory().without(devices);
    this.zones = Map.copyOf(zones);
    this.source = source;
    this.callers =
        new CallerLists(machine.zonelists(devices, LoadRule.ACCUMULATE, SpillMode.RAM), system);
    this.local = byCaller(system, true);
    this.onlyLocal = system.size() == 1 ? local[machine.online().first()] : null;
  }

  /**
   * Returns the zones for a request near its caller.
   *
   * @return the path of the node whose CPU runs the calling thread
   */
  public ZonePath local() {
    return onlyLocal != null ? onlyLocal : ofCaller(local);
  }

  /**
   * Returns the zones of a placement.
   *
   * @param placement one that names no device by capability
   * @return its path for the calling thread
   * @throws NodeAccessException if it names a device node, or insists on nodes that the kernel
   *     refuses to bind to
   * @throws IllegalArgumentException if the machine has none of the nodes with memory
   */
  public ZonePath of(Placement placement) {
    if (placement.mode() == Placement.Mode.LOCAL) {
      return local();
    }
    ZonePath[] paths = resolved.get(placement);
    if (paths == null) {
      paths = resolve(placement);
      resolved.put(placement, paths);
    }
    return paths.length == 1 ? paths[0] : ofCaller(paths);
  }

  private ZonePath ofCaller(ZonePath[] paths) {
    int caller = source.currentNode();
    ZonePath path = caller >= 0 && caller < paths.length ? paths[caller] : null;
    return path != null ? path : paths[machine.online().first()];
  }

  private ZonePath[] resolve(Placement placement) {
    NodeMask named = placement.nodes();
    NodeMask forbidden = named.and(devices);
    if (!forbidden.isEmpty()) {
      throw new NodeAccessException(
          "placement names a device node: placement="
              + placement
              + ", devices="
              + forbidden
              + "; allocate through NodeAllocator.device("
              + forbidden.first()
              + ")");
    }
    NodeMask allowed = named.and(system);
    if (allowed.isEmpty()) {
      throw new IllegalArgumentException(
          "placement names no node with memory: placement="
              + placement
              + "; name some of nodes "
              + system);
    }
    if (placement.mode() == Placement.Mode.PREFERRED) {
      return new ZonePath[] {path(callers.of(allowed.first()), system, true)};
    }
    requireBound(placement, allowed);
    return allowed.size() == 1
        ? new ZonePath[] {path(List.of(allowed.first()), allowed, false)}
        : byCaller(allowed, false);
  }

  private void requireBound(Placement placement, NodeMask nodes) {
    nodes.stream()
        .filter(node -> !zones.get(node).isBound())
        .findFirst()
        .ifPresent(
            node -> {
              throw new NodeAccessException(
                  "cannot promise a node here: placement="
                      + placement
                      + ", node="
                      + node
                      + "; "
                      + source.diagnosis().obstacle());
            });
  }

  private ZonePath[] byCaller(NodeMask allowed, boolean keepsReserve) {
    ZonePath[] paths = new ZonePath[machine.online().last() + 1];
    machine.online().stream()
        .forEach(caller -> paths[caller] = path(callers.of(caller), allowed, keepsReserve));
    return paths;
  }

  private ZonePath path(List<Integer> order, NodeMask allowed, boolean keepsReserve) {
    return new ZonePath(
        keepsReserve,
        order.stream().filter(allowed::contains).map(zones::get).toArray(BackedZone[]::new));
  }
}
