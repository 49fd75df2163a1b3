/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;
import org.cdmalloc.numa.NumaMaps.Mapping;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.spi.Stripe;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.Test;

final class NumaMapsTest {
  private static final List<String> LINES =
      List.of(
          "00400000 default file=/usr/bin/a\\040b mapped=3 N0=2 N1=1 kernelpagesize_kB=4",
          "7f0000200000 bind=static:255 anon=512 dirty=512 active=0 N255=512 kernelpagesize_kB=4",
          "7f0000400000 prefer=static:0",
          "7f0000600000 default file=/memfd:N7=9\\040(deleted) N63=1 N64=2 kernelpagesize_kB=4",
          "7ffd00000000 default stack anon=3 dirty=3 N0=3 kernelpagesize_kB=4");

  @Test
  void mappingsAreCountedByNode() {
    NumaMaps maps = NumaMaps.of(LINES);
    assertFalse(maps.isEmpty());
    assertEquals(new Mapping(0x400000, 0x7f0000200000L, Map.of(0, 2L, 1, 1L)), maps.at(0x400fff));
    assertEquals(
        new Mapping(0x7f0000200000L, 0x7f0000400000L, Map.of(255, 512L)), maps.at(0x7f0000200000L));
    assertEquals(0, maps.at(0x7f0000400000L).pages());
    assertEquals(NodeMask.of(63, 64), maps.at(0x7f0000600000L).nodes());
    assertEquals(3, maps.at(0x7f0000600000L).pages());
    assertEquals(514, maps.pagesOn(NodeMask.of(64, 255), 0x7f0000200000L, 0x7f0000600001L));
    assertEquals(512, maps.pagesOn(NodeMask.of(64, 255), 0x7f0000200000L, 0x7f0000600000L));
    assertEquals(Long.MAX_VALUE, maps.at(0x7ffd00001000L).end());
  }

  @Test
  void anAddressBelowAllMappingsHasNoPages() {
    assertEquals(0, NumaMaps.of(LINES).at(0x1000).pages());
    assertTrue(NumaMaps.of(List.of()).isEmpty());
  }

  /** A kernel that counts fewer pages than were committed has swapped some out, or moved them. */
  private static final class OtherCounts extends Kernel {
    private final List<String> counts;

    OtherCounts(List<String> counts) {
      super(SystemCalls.of(System.getProperty("os.arch")).orElseThrow());
      this.counts = counts;
    }

    @Override
    NumaMaps numaMaps() {
      return NumaMaps.of(counts);
    }
  }

  private static LinuxRegion region(long bytes) {
    long address = 0x7f0000000000L;
    return new LinuxRegion(
        null, Stripe.of(0), bytes, true, address, List.of(ByteBuffer.allocateDirect(1)), true);
  }

  private static Residency ask(LinuxRegion region, String... counts) {
    return new ResidencyQuery(new OtherCounts(List.of(counts)), Capability.ResidencyCall.NUMA_MAPS)
        .ask(region, 0, region.bytes());
  }

  @Test
  void aPageIsPlacedOnlyWhereItsWholeMappingIsOnOneNode() {
    int pageBytes = ThisHost.KERNEL.pageBytes();
    LinuxRegion region = region(8L * pageBytes);
    region.committed().add(0, 4L * pageBytes);
    String second = Long.toHexString(region.address() + 2L * pageBytes);
    assertEquals(
        "[3, 3, 5, 5, -2, -2, -2, -2]",
        nodes(ask(region, "7f0000000000 bind:3 N3=2", second + " bind:5 N5=2")));
    assertEquals(
        "[-1, -1, 5, 5, -2, -2, -2, -2]",
        nodes(ask(region, "7f0000000000 bind:3 N3=1", second + " bind:5 N5=3")));
    assertEquals(
        "[-1, -1, -1, -1, -2, -2, -2, -2]", nodes(ask(region, "7f0000000000 default N3=2 N5=2")));
    assertEquals("[-1, -1, -1, -1, -2, -2, -2, -2]", nodes(ask(region)));
  }

  private static String nodes(Residency residency) {
    StringBuilder text = new StringBuilder("[");
    for (int page = 0; page < residency.pages(); page++) {
      text.append(page == 0 ? "" : ", ").append(residency.node(page));
    }
    return text.append(']').toString();
  }

  @Test
  void theKernelOfThisHostCountsThisProcess() {
    NumaMaps maps = ThisHost.KERNEL.numaMaps();
    assertFalse(maps.isEmpty());
    Machine host = ThisHost.source().machine();
    LinuxSource source =
        ThisHost.source(
            new Capability(true, true, Capability.ResidencyCall.NUMA_MAPS, List.of()),
            new MappingBudget(1000));
    int node = host.withMemory().first();
    LinuxRegion region = (LinuxRegion) source.reserve(node, 8 << 20);
    source.commit(region, 2 << 20, 2 << 20);
    Residency residency = source.residency(region, 0, region.bytes());
    assertEquals(source.residency(region, 2 << 20, 2 << 20).node(0), node);
    assertEquals("numa_maps", residency.askedBy());
    assertEquals(
        (2 << 20) / source.osPageBytes(), residency.pagesByNode().get(node), residency::toString);
    source.release(region);
  }
}
