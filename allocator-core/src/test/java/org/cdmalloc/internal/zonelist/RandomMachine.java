/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zonelist;

import java.util.SplittableRandom;
import java.util.TreeSet;
import org.cdmalloc.topology.CpuMask;
import org.cdmalloc.topology.DistanceMatrix;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.cdmalloc.topology.NodePerformance;

/**
 * A machine and a device mask drawn from a seed; the same seed gives the same pair. Shapes are
 * mixed on purpose: dense and sparse numbers, flat, clustered, asymmetric and unreachable
 * distances, and for CPUs, memory and devices all, most, some or none of the nodes.
 *
 * @param seed what it was drawn from
 * @param machine 1 to 64 nodes
 * @param devices any of them, and now and then a node that is not online
 */
record RandomMachine(long seed, Machine machine, NodeMask devices) {
  private static final double[] SHARES = {0, 0.3, 0.5, 0.9, 1};

  static RandomMachine of(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    int kind = random.nextInt(200);
    int count = kind == 0 ? random.nextInt(25, 65) : random.nextInt(1, kind < 20 ? 25 : 9);
    int[] ids = ids(random, count);
    double cpuShare = share(random);
    double memoryShare = share(random);
    Machine.Builder builder = Machine.builder().origin("seed " + seed);
    for (int id : ids) {
      String cpus = random.nextDouble() < cpuShare ? Integer.toString(id) : "";
      long bytes = random.nextDouble() < memoryShare ? 1L << 30 : 0;
      builder.node(
          new Node(id, CpuMask.parse(cpus), bytes, random.nextBoolean(), NodePerformance.NONE));
    }
    int style = random.nextInt(5);
    Machine machine =
        builder
            .distances((from, to) -> from == to ? 10 : distance(random, style, from, to))
            .build();
    return new RandomMachine(seed, machine, devices(random, machine));
  }

  private static int[] ids(SplittableRandom random, int count) {
    TreeSet<Integer> ids = new TreeSet<>();
    boolean dense = random.nextBoolean();
    while (ids.size() < count) {
      ids.add(dense ? ids.size() : random.nextInt(NodeMask.MAX_NODES));
    }
    return ids.stream().mapToInt(Integer::intValue).toArray();
  }

  private static int distance(SplittableRandom random, int style, int from, int to) {
    return switch (style) {
      case 0 -> DistanceMatrix.REMOTE;
      case 1 -> from / 4 == to / 4 ? 12 : 32;
      // Neighbouring values, so that the penalties of one step decide.
      case 2 -> random.nextInt(20, 23);
      case 3 -> random.nextInt(8) == 0 ? DistanceMatrix.MAX : random.nextInt(1, 4) * 20;
      default -> random.nextInt(10, DistanceMatrix.MAX + 1);
    };
  }

  private static NodeMask devices(SplittableRandom random, Machine machine) {
    if (random.nextInt(4) == 0) {
      return machine.memoryOnly();
    }
    double deviceShare = share(random);
    int[] chosen =
        machine.online().stream().filter(id -> random.nextDouble() < deviceShare).toArray();
    NodeMask devices = NodeMask.of(chosen);
    return random.nextInt(10) == 0 ? devices.or(NodeMask.of(random.nextInt(1024))) : devices;
  }

  private static double share(SplittableRandom random) {
    return SHARES[random.nextInt(SHARES.length)];
  }

  @Override
  public String toString() {
    return "-Dseed=" + seed + ", devices=" + devices + ", " + machine;
  }
}
