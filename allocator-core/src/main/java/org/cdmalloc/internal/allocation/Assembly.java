/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.time.Duration;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.Function;
import org.cdmalloc.Checks;
import org.cdmalloc.HolderReport;
import org.cdmalloc.Marks;
import org.cdmalloc.MemoryReport;
import org.cdmalloc.NodeAccessException;
import org.cdmalloc.NodeAttributes;
import org.cdmalloc.NodeReport;
import org.cdmalloc.NodeState;
import org.cdmalloc.PlacementAudit;
import org.cdmalloc.Registration;
import org.cdmalloc.Shrinker;
import org.cdmalloc.Zeroing;
import org.cdmalloc.internal.zone.Watermarks;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;

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

  /**
   * What a user may choose, and may leave to the defaults.
   *
   * @param capacities bytes by node
   * @param marks the marks of nodes, in bytes
   * @param attributes what may be done with nodes
   * @param zeroing when memory that was used is zeroed
   * @param checks how much is done to find misuse
   * @param purgeDelay after which memory goes back that nobody uses; zero for never
   * @param auditPeriod the shortest rest between two steps of the sampler; zero for never
   * @param magazineBytes what one thread may keep ready of one system node; 0 for nothing
   */
  public record Settings(
      Map<Integer, Long> capacities,
      Map<Integer, Marks> marks,
      Map<Integer, NodeAttributes> attributes,
      Zeroing zeroing,
      Checks checks,
      Duration purgeDelay,
      Duration auditPeriod,
      long magazineBytes) {}

  /** One thread keeps at most this part of a zone. */
  private static final int MAGAZINE_SHARE = 64;

  /** Less is nothing, so zones below 8 MiB have no magazines. */
  public static final long LEAST_MAGAZINE_BYTES = 128 << 10;

  private final Machine machine;
  private final MemorySource source;
  private final AllocationPath allocation;
  private final SystemPaths system;
  private final Map<Integer, NodeAttributes> attributes;
  private final Map<Integer, DeviceZone> devices;

  private final Audit audit;
  private final Upkeep upkeep;

  private Assembly(
      Machine machine,
      MemorySource source,
      AllocationPath allocation,
      SystemPaths system,
      Map<Integer, NodeAttributes> attributes,
      Map<Integer, DeviceZone> devices,
      Audit audit,
      Upkeep upkeep) {
    this.machine = machine;
    this.source = source;
    this.allocation = allocation;
    this.system = system;
    this.attributes = attributes;
    this.devices = devices;
    this.audit = audit;
    this.upkeep = upkeep;
  }

  /**
   * Reserves the regions of all system nodes and describes the device nodes.
   *
   * @param source where memory comes from
   * @param deviceNodes the device nodes of the source's machine; those without memory make no
   *     difference
   * @param arenas more device nodes, carved out of ordinary ones
   * @param settings what else the user chose
   * @return the parts
   * @throws IllegalArgumentException if an arena, a capacity, a mark, an attribute or the device
   *     nodes do not fit the machine; nothing stays reserved
   */
  public static Assembly of(
      MemorySource source, NodeMask deviceNodes, Collection<Arena> arenas, Settings settings) {
    return of(source, deviceNodes, arenas, settings, Reclaim::new);
  }

  /** As above, with what makes the reclaim of the nodes of a mask. */
  static Assembly of(
      MemorySource source,
      NodeMask deviceNodes,
      Collection<Arena> arenas,
      Settings settings,
      Function<NodeMask, Reclaim> reclaim) {
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
    Map<Integer, Long> bytes = Capacities.of(machine, system, settings.capacities(), source);
    Map<Integer, Watermarks> marks = Capacities.marks(bytes, settings.marks());
    Map<Integer, NodeAttributes> attributes =
        AttributeRules.of(system, devices, settings.attributes());
    AllocationPath allocation =
        new AllocationPath(
            source,
            settings.zeroing(),
            settings.checks(),
            reclaim.apply(AttributeRules.reclaimed(attributes)));
    boolean assembled = false;
    try {
      Map<Integer, BackedZone> zones = new HashMap<>();
      for (int node : system.stream().toArray()) {
        long capacity = bytes.get(node);
        zones.put(
            node,
            allocation.addFirst(
                () -> zoneOf(node, capacity, marks.get(node), source, allocation, settings)));
      }
      SystemPaths paths = new SystemPaths(machine, devices, zones, source, allocation);
      Map<Integer, DeviceZone> deviceZones = new HashMap<>();
      for (int node : devices.stream().toArray()) {
        int backing = hosts.getOrDefault(node, node);
        deviceZones.put(
            node,
            new DeviceZone(
                node,
                backing,
                bytes.get(node),
                marks.get(node),
                attributes.get(node),
                machine,
                source,
                allocation,
                paths.beside(node)));
      }
      Audit audit = new Audit(source, allocation);
      Upkeep upkeep = upkeep(source, allocation, audit, settings);
      Assembly assembly =
          new Assembly(
              machine,
              source,
              allocation,
              paths,
              attributes,
              Map.copyOf(deviceZones),
              audit,
              upkeep);
      assembled = true;
      return assembly;
    } finally {
      if (!assembled) {
        allocation.close();
      }
    }
  }

  private static BackedZone zoneOf(
      int node,
      long capacityBytes,
      Watermarks marks,
      MemorySource source,
      AllocationPath allocation,
      Settings settings) {
    BackedZone zone = BackedZone.ofNode(node, node, capacityBytes, marks, source);
    long limitBytes = Math.min(settings.magazineBytes(), capacityBytes / MAGAZINE_SHARE);
    if (limitBytes < LEAST_MAGAZINE_BYTES) {
      return zone;
    }
    boolean done = false;
    try {
      zone.keepReady(allocation.threads(), limitBytes);
      done = true;
      return zone;
    } finally {
      if (!done) {
        zone.close();
      }
    }
  }

  private static Upkeep upkeep(
      MemorySource source, AllocationPath allocation, Audit audit, Settings settings) {
    boolean purges = !settings.purgeDelay().isZero();
    // Where no kernel places memory, none moves it.
    boolean samples =
        !settings.auditPeriod().isZero() && source.isReal() && source.diagnosis().binds();
    Upkeep upkeep = new Upkeep();
    if (purges) {
      upkeep.purge(allocation, settings.purgeDelay());
    }
    if (samples) {
      long periodNanos = settings.auditPeriod().toNanos();
      upkeep.sample(new Sampler(audit, allocation, periodNanos, System::nanoTime), periodNanos);
    }
    return upkeep;
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
   * Returns what may be done with a node's memory.
   *
   * @param node the node
   * @return its attributes
   * @throws IllegalArgumentException if it has no capacity here
   */
  public NodeAttributes attributes(int node) {
    DeviceZone device = devices.get(node);
    NodeAttributes found = device == null ? attributes.get(node) : device.attributes();
    if (found == null) {
      throw new IllegalArgumentException(
          "node has no capacity here: node="
              + node
              + "; name one of nodes "
              + new TreeSet<>(attributes.keySet()));
    }
    return found;
  }

  /**
   * Registers a shrinker of a system node.
   *
   * @param node the node
   * @param shrinker called when it runs short
   * @return what ends that
   * @throws NodeAccessException if it is a device node
   * @throws IllegalArgumentException if it has no capacity here
   * @throws IllegalStateException if closed
   */
  public Registration shrinker(int node, Shrinker shrinker) {
    allocation.requireOpen();
    if (devices.containsKey(node)) {
      throw new NodeAccessException(
          "a device node's shrinkers are its holders': node="
              + node
              + "; register with DeviceNode.shrinker(shrinker)");
    }
    attributes(node);
    return allocation.reclaim().register(node, shrinker);
  }

  /**
   * Closes all zones, as {@link AllocationPath#close} does.
   *
   * @return the blocks that were live
   */
  public int close() {
    upkeep.stop();
    allocation.reclaim().stop();
    audit.findings().close();
    try {
      return allocation.close();
    } finally {
      // A budget may serve other allocators.
      if (devices.values().stream().anyMatch(device -> device.account().allSpilledBytes() > 0)) {
        allocation.cancelSpills();
      }
    }
  }

  /**
   * Returns the account of everything.
   *
   * @return a new report
   */
  public MemoryReport report() {
    NodeSnapshot nodes = allocation.nodes();
    Map<Integer, NodeReport> offline = new HashMap<>();
    devices.forEach(
        (node, device) -> {
          NodeState state = nodes.states().of(node).state();
          offline.put(
              node, NodeReport.offline(node, device.backingNode(), state, device.capacityBytes()));
        });
    List<HolderReport> holders =
        devices.values().stream()
            .sorted(Comparator.comparingInt(DeviceZone::node))
            .flatMap(device -> device.holders(device.account()).stream())
            .toList();
    return ZoneReports.report(nodes.zones(), offline, audit.findings(), holders);
  }

  /**
   * Asks where all committed memory lies.
   *
   * @return what was found
   */
  public PlacementAudit audit() {
    return audit.all();
  }
}
