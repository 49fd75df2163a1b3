/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.IntFunction;
import org.cdmalloc.NodeAccessException;
import org.cdmalloc.Placement;
import org.cdmalloc.internal.zonelist.CallerLists;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Stripe;
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
  private final AllocationPath allocation;
  private final CallerLists callers;
  private final Map<Placement, Paths> resolved = new ConcurrentHashMap<>();

  /** Guarded by this. */
  private final Map<Stripe, BackedZone> striped = new HashMap<>();

  /**
   * Prepares the paths of a machine.
   *
   * @param machine the machine
   * @param devices its device nodes
   * @param zones the zones of all system nodes with memory, by node
   * @param source asked for the caller's node, and why a region is not bound
   * @param allocation takes striped zones in, which are made when a placement first needs them
   */
  public SystemPaths(
      Machine machine,
      NodeMask devices,
      Map<Integer, BackedZone> zones,
      MemorySource source,
      AllocationPath allocation) {
    this.machine = machine;
    this.devices = devices;
    this.system = machine.withMemory().without(devices);
    this.zones = Map.copyOf(zones);
    this.source = source;
    this.allocation = allocation;
    this.callers =
        new CallerLists(machine.zonelists(devices, LoadRule.ACCUMULATE, SpillMode.RAM), system);
  }

  /**
   * Returns the zones of a placement.
   *
   * @param placement one that names no device by capability
   * @return its paths
   * @throws NodeAccessException if it names a device node, or insists on nodes that the kernel
   *     refuses to bind to
   * @throws IllegalArgumentException if the machine has none of the nodes with memory, or not the
   *     home node
   */
  public Paths of(Placement placement) {
    Paths paths = resolved.get(placement);
    if (paths == null) {
      paths = resolve(placement);
      Paths before = resolved.putIfAbsent(placement, paths);
      paths = before == null ? paths : before;
    }
    return paths;
  }

  /**
   * Returns the zones into which a device's holders may spill.
   *
   * @param device a device node
   * @return the zones of system nodes, nearest to the device first
   */
  List<BackedZone> beside(int device) {
    return callers.beside(device).stream().map(zones::get).toList();
  }

  private Paths resolve(Placement placement) {
    NodeMask allowed = placement.mode() == Placement.Mode.LOCAL ? system : allowed(placement);
    OptionalInt home = home(placement);
    return switch (placement.mode()) {
      case LOCAL -> byCaller(caller -> path(caller, callers.of(caller), true));
      case ON_NODE, BIND -> {
        requireBound(placement, allowed);
        yield byCaller(caller -> path(caller, within(order(caller, home), allowed), false));
      }
      case PREFERRED -> fallingBackFrom(allowed.first(), false);
      case PREFERRED_MANY ->
          byCaller(caller -> path(caller, twoPasses(order(caller, home), allowed), true));
      case INTERLEAVE, WEIGHTED_INTERLEAVE -> interleaving(placement, allowed);
      case DEVICE -> throw new IllegalArgumentException("not on system nodes: " + placement);
    };
  }

  /** The order in which a caller's nodes are tried: of its own node, or of the home node. */
  private List<Integer> order(int caller, OptionalInt home) {
    return callers.of(home.orElse(caller));
  }

  /** First the nodes that are preferred, then the others; each in the order of the list. */
  private static List<Integer> twoPasses(List<Integer> order, NodeMask preferred) {
    List<Integer> passes = new ArrayList<>(order);
    passes.removeIf(node -> !preferred.contains(node));
    order.stream().filter(node -> !preferred.contains(node)).forEach(passes::add);
    return passes;
  }

  private Paths fallingBackFrom(int node, boolean interleaves) {
    return byCaller(caller -> new ZonePath(caller, true, interleaves, zones(callers.of(node))));
  }

  private Paths interleaving(Placement placement, NodeMask allowed) {
    Stripe stripe = stripe(placement, allowed);
    Paths[] turns = new Paths[stripe.roundPages()];
    Map<Integer, Paths> byNode = new HashMap<>();
    for (int turn = 0; turn < turns.length; turn++) {
      turns[turn] = byNode.computeIfAbsent(stripe.node(turn), node -> fallingBackFrom(node, true));
    }
    // Where nothing is bound nobody could say that pages were dealt out.
    if (stripe.isSingle() || !source.diagnosis().binds()) {
      return new TurnPaths(source.osPageBytes(), null, turns);
    }
    BackedZone first = striped(stripe);
    Paths striped =
        byCaller(
            caller -> {
              List<BackedZone> order = new ArrayList<>(List.of(first));
              order.addAll(List.of(zones(twoPasses(callers.of(caller), stripe.nodes()))));
              return new ZonePath(caller, true, true, order.toArray(BackedZone[]::new));
            });
    return new TurnPaths(source.osPageBytes(), striped, turns);
  }

  private synchronized BackedZone striped(Stripe stripe) {
    BackedZone zone = striped.get(stripe);
    if (zone == null) {
      StripeShares shares =
          new StripeShares(
              stripe, stripe.nodes().stream().mapToObj(zones::get).toList(), source.osPageBytes());
      zone = allocation.add(() -> BackedZone.striped(shares, source));
      striped.put(stripe, zone);
    }
    return zone;
  }

  private NodeMask allowed(Placement placement) {
    NodeMask named = placement.nodes();
    requireNoDevice(placement, named);
    NodeMask allowed = named.and(system);
    if (allowed.isEmpty()) {
      throw new IllegalArgumentException(
          "placement names no node with memory: placement="
              + placement
              + "; name some of nodes "
              + system);
    }
    return allowed;
  }

  private static Stripe stripe(Placement placement, NodeMask allowed) {
    Map<Integer, Integer> weights = new HashMap<>(placement.weights());
    weights.keySet().removeIf(node -> !allowed.contains(node));
    return weights.isEmpty() ? Stripe.even(allowed) : Stripe.weighted(weights);
  }

  private OptionalInt home(Placement placement) {
    placement
        .homeNode()
        .ifPresent(
            home -> {
              requireNoDevice(placement, NodeMask.of(home));
              if (!machine.online().contains(home)) {
                throw new IllegalArgumentException(
                    "home node is not online: placement="
                        + placement
                        + "; name one of nodes "
                        + machine.online());
              }
            });
    return placement.homeNode();
  }

  private void requireNoDevice(Placement placement, NodeMask named) {
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

  private Paths byCaller(IntFunction<ZonePath> path) {
    return new CallerPaths(machine, source, path);
  }

  private ZonePath path(int caller, List<Integer> order, boolean keepsReserve) {
    return new ZonePath(caller, keepsReserve, false, zones(order));
  }

  private static List<Integer> within(List<Integer> order, NodeMask nodes) {
    return order.stream().filter(nodes::contains).toList();
  }

  /** Returns the zones of a list as it is: which nodes are in none is the list's work alone. */
  private BackedZone[] zones(List<Integer> order) {
    return order.stream().map(this::zone).toArray(BackedZone[]::new);
  }

  private BackedZone zone(int node) {
    return Objects.requireNonNull(
        zones.get(node), () -> "a list names a node that is no system node: node=" + node);
  }
}
