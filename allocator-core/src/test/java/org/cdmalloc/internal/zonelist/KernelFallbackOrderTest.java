/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zonelist;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import org.cdmalloc.topology.LoadRule;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;
import org.cdmalloc.topology.SpillMode;
import org.cdmalloc.topology.Zonelist;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Without device nodes our lists are those that live kernels print at boot and when memory comes
 * online ({@code Fallback order for Node}). Recorded in QEMU guests with CPU-less nodes as CXL and
 * GPU memory come up, on Linux 6.1.192 and 6.12.117, which agree; beside each, what {@code numactl
 * --hardware} printed there.
 */
final class KernelFallbackOrderTest {
  @ParameterizedTest
  @ValueSource(
      strings = {
        "2ram-2dev",
        "2ram-2dev-asym",
        "2ram-3dev-flat",
        "4ram-2dev-pairs",
        "4ram-flat",
        "4ram-ring"
      })
  void ourListsAreTheKernels(String topology) throws IOException, URISyntaxException {
    Path folder =
        Path.of(
            Objects.requireNonNull(getClass().getResource("/zonelist/kernel/" + topology)).toURI());
    StringBuilder ours = new StringBuilder();
    for (Zonelist list :
        Machine.fromNumactl(folder.resolve("numactl.txt"))
            .zonelists(NodeMask.EMPTY, LoadRule.ACCUMULATE, SpillMode.STRICT)) {
      ours.append("Fallback order for Node ").append(list.node()).append(':');
      list.fallback().forEach(node -> ours.append(' ').append(node));
      ours.append('\n');
    }
    assertEquals(Files.readString(folder.resolve("fallback.txt")), ours.toString());
  }
}
