/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.cdmalloc.topology.NodeMask;

/**
 * While it is open this JVM may take pages of ordinary nodes only, so that what devices give can be
 * counted; and so do children for all but the memory of their allocators. For guests.
 */
final class OffDevices implements AutoCloseable {
  private static final int MPOL_BIND_STATIC = 2 | 1 << 15;
  private static final Path GROUPS = Path.of("/sys/fs/cgroup");
  private static final Path GROUP = GROUPS.resolve("off-devices");

  /** A process that is first in line to be killed, and not in the group of the one that looks. */
  private static final String CHILD =
      "echo 1000 > /proc/self/oom_score_adj && echo $$ > " + GROUPS.resolve("cgroup.procs");

  private final List<ProbeProcess> children = new ArrayList<>();

  OffDevices(NodeMask system) throws IOException {
    if (!Files.exists(GROUP)) {
      Files.createDirectory(GROUP);
    }
    Files.writeString(GROUP.resolve("cpuset.mems"), system.toString().replaceAll("[^0-9,-]", ""));
    enter(GROUP);
  }

  private static void enter(Path group) throws IOException {
    Files.writeString(group.resolve("cgroup.procs"), Long.toString(ProcessHandle.current().pid()));
  }

  /**
   * Starts children whose own pages, heap and all, come from some nodes: a thread's policy is its
   * children's, and says nothing about memory that has a policy, as all of the allocator's has.
   *
   * @param processes how many
   * @param probe their main class, which says {@code ready}
   * @param own the nodes
   * @param arguments of the probe
   * @return all children that were started so far
   */
  List<ProbeProcess> start(int processes, Class<?> probe, NodeMask own, String... arguments)
      throws Exception {
    HostPolicyCalls calls = new HostPolicyCalls();
    long[] words = Kernel.maskWords(own);
    assertEquals(0, calls.setMempolicy(MPOL_BIND_STATIC, words, Kernel.MAX_NODE));
    try {
      for (int i = 0; i < processes; i++) {
        children.add(ProbeProcess.start(probe, CHILD, arguments));
      }
    } finally {
      calls.setMempolicy(0, null, 0);
    }
    for (ProbeProcess child : children) {
      child.awaitLine("ready");
    }
    return children;
  }

  @Override
  public void close() throws IOException {
    for (ProbeProcess child : children) {
      child.close();
    }
    enter(GROUPS);
  }
}
