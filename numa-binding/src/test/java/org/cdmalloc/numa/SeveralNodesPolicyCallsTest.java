/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.sun.jna.Memory;
import com.sun.jna.NativeLibrary;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.cdmalloc.spi.PolicyCalls;
import org.cdmalloc.spi.PolicyCallsContract;
import org.cdmalloc.topology.CpuMask;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.AfterEach;

/**
 * The kernel of a guest with five nodes in a line, of which the first two have CPUs, answers as the
 * table of several nodes says; its nodes 0 to 4 stand for 0, 1, 63, 64 and 255.
 */
final class SeveralNodesPolicyCallsTest extends PolicyCallsContract {
  private static final Path WEIGHTS = Path.of("/sys/kernel/mm/mempolicy/weighted_interleave");
  private static final Path BALANCING = Path.of("/proc/sys/kernel/numa_balancing");
  private static final int CPU_SET_BYTES = 128;
  private static final int ABSENT = 7;

  private final Machine machine = Machine.fromSysfs(Machine.SYSFS);
  private String balancing;

  @Override
  protected PolicyCalls calls() {
    ThisHost.assumeGuest("it sets weights of nodes for every program");
    assumeTrue(isLine(), "not five nodes in a line: " + machine);
    runOn(machine.node(0).cpus());
    stopBalancing();
    return new HostPolicyCalls();
  }

  private boolean isLine() {
    NodeMask nodes = NodeMask.of(0, 1, 2, 3, 4);
    return machine.withMemory().equals(nodes)
        && machine.memoryOnly().equals(NodeMask.of(2, 3, 4))
        && nodes.stream()
            .allMatch(
                node ->
                    nodes.stream()
                        .allMatch(
                            other ->
                                machine.distances().between(node, other)
                                    == 10 + 10 * Math.abs(node - other)));
  }

  /**
   * Automatic NUMA balancing takes the access to pages without a policy away for a while, to see
   * who uses them (change_prot_numa of mm/mempolicy.c); Linux 6.1 then says ENOENT of them.
   */
  private void stopBalancing() {
    try {
      balancing = Files.readString(BALANCING);
      Files.writeString(BALANCING, "0");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @AfterEach
  void restore() throws IOException {
    if (ThisHost.isGuest() && isLine()) {
      runOn(CpuMask.parse("0-1"));
      Files.writeString(BALANCING, balancing);
    }
  }

  @Override
  protected List<String> tables() {
    return List.of("several-nodes.txt");
  }

  @Override
  protected Map<Integer, Integer> numbers() {
    return Map.of(0, 0, 1, 1, 2, ABSENT, 63, 2, 64, 3, 255, 4);
  }

  /** Does {@code run_on NODE} and {@code weight NODE PAGES}. */
  @Override
  protected String more(String verb, List<String> arguments) {
    int node = numbers().get(Integer.valueOf(arguments.get(0)));
    switch (verb) {
      case "run_on" -> runOn(machine.node(node).cpus());
      case "weight" -> {
        try {
          Files.writeString(WEIGHTS.resolve("node" + node), arguments.get(1));
        } catch (IOException e) {
          throw new UncheckedIOException(e);
        }
      }
      default -> throw new IllegalArgumentException("no such call: " + verb);
    }
    return "ok";
  }

  /** Lets this thread run on some CPUs only: sched_setaffinity(2). */
  private static void runOn(CpuMask cpus) {
    try (Memory set = new Memory(CPU_SET_BYTES)) {
      set.clear();
      cpus.stream()
          .forEach(
              cpu ->
                  set.setByte(
                      cpu / Byte.SIZE,
                      (byte) (set.getByte(cpu / Byte.SIZE) | 1 << cpu % Byte.SIZE)));
      int result =
          NativeLibrary.getInstance("c")
              .getFunction("sched_setaffinity")
              .invokeInt(new Object[] {0, (long) CPU_SET_BYTES, set});
      assertEquals(0, result, cpus::toString);
    }
  }
}
