/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Numbers and arguments of the calls that have no wrapper in the C library. */
final class SystemCallsTest {
  private static final int MPOL_F_ADDR = 2;
  private static final int MASK_BITS = 1024;

  /** What this kernel was built for: arm64's default has four bits for a node's number. */
  private final int maxNodes = new HostPolicyCalls().maxNodes();

  @TestFactory
  Stream<DynamicTest> numbersAreThoseOfTheKernelsHeaders() {
    assertEquals(
        List.of("amd64", "aarch64", "riscv64", "ppc64le", "s390x"),
        SystemCallNumbers.all().stream().map(SystemCallNumbers::architecture).toList());
    return SystemCallNumbers.all().stream()
        .map(numbers -> DynamicTest.dynamicTest(numbers.architecture(), () -> check(numbers)));
  }

  private static void check(SystemCallNumbers headers) {
    SystemCalls calls = SystemCalls.of(headers.architecture()).orElseThrow();
    assertEquals(headers.of("mbind"), calls.mbind());
    assertEquals(headers.of("get_mempolicy"), calls.getMempolicy());
    assertEquals(headers.of("move_pages"), calls.movePages());
    assertEquals(headers.of("MAP_NORESERVE"), calls.mapNoReserve());
    assertEquals(Kernel.SET_MEMPOLICY_HOME_NODE, headers.of("set_mempolicy_home_node"));
  }

  @Test
  void otherArchitecturesAreNotServed() {
    assertFalse(SystemCalls.of("x86").isPresent());
    assertFalse(SystemCalls.of("arm").isPresent());
  }

  @Test
  void aMaskHasABitForEachNodeAndAWordToSpare() {
    for (int id : new int[] {0, 1, 63, 64, 255, 1023}) {
      long[] words = Kernel.maskWords(NodeMask.of(id));
      assertEquals(1L << (id % Long.SIZE), words[id / Long.SIZE], "node=" + id);
      assertEquals(1, Arrays.stream(words).filter(word -> word != 0).count(), "node=" + id);
      // The kernel reads one bit less than it is told of: the last node's must be among them.
      assertTrue(id < Kernel.MAX_NODE - 1, "node=" + id);
      assertTrue(Kernel.MAX_NODE <= (long) words.length * Long.SIZE, "node=" + id);
    }
  }

  /**
   * The kernel keeps the mask of a STATIC_NODES policy as it was given, nodes that are not there
   * too, and get_mempolicy(2) returns the words of it in which this kernel can have nodes: what
   * arrived is compared with what was meant.
   */
  @Test
  void aMaskArrivesToTheBit() {
    Kernel kernel = ThisHost.KERNEL;
    int pageBytes = kernel.pageBytes();
    int here = ThisHost.NODE;
    long page = kernel.map(pageBytes, Kernel.PROT_READ_WRITE);
    try {
      for (int[] ids : new int[][] {{1}, {62}, {63}, {1, 62, 63}, {63, 64, 255, 1023}}) {
        int[] known = Arrays.stream(ids).filter(id -> id < maxNodes).toArray();
        NodeMask mask = NodeMask.of(here).or(NodeMask.of(known));
        assertEquals(0, kernel.confine(page, pageBytes, mask, here), mask::toString);
        assertEquals(
            Kernel.maskWords(mask)[0], Kernel.maskWords(policyNodes(page))[0], mask::toString);
      }
    } finally {
      kernel.unmap(page, pageBytes);
    }
  }

  /**
   * The kernel merges neighbours whose policies are equal, masks as they were given included: where
   * a bit of one is lost on the way, both have the same.
   */
  @Test
  void noBitOfAMaskIsLost() throws IOException {
    NodeMask here = NodeMask.of(ThisHost.NODE);
    for (int id : new int[] {1, 62, 63, 64, 65, 255, 256, 1022, 1023}) {
      if (id < maxNodes && id != ThisHost.NODE) {
        NodeMask mask = here.or(NodeMask.of(id));
        assertEquals(1, mappings(mask, mask), "node=" + id);
        assertEquals(2, mappings(mask, here), "node=" + id);
        assertEquals(2, mappings(here, mask), "node=" + id);
      }
    }
  }

  /** Counts the mappings of two neighbours that are bound to nodes. */
  private static long mappings(NodeMask first, NodeMask second) throws IOException {
    Kernel kernel = ThisHost.KERNEL;
    int pageBytes = kernel.pageBytes();
    long start = kernel.map(4L * pageBytes, Kernel.PROT_READ_WRITE);
    try {
      // What lies beside them has no policy and is no neighbour.
      long page = start + pageBytes;
      assertEquals(0, kernel.confine(page, pageBytes, first, ThisHost.NODE), first::toString);
      assertEquals(
          0, kernel.confine(page + pageBytes, pageBytes, second, ThisHost.NODE), second::toString);
      return MappingsTest.mappings(page, 2L * pageBytes);
    } finally {
      kernel.unmap(start, 4L * pageBytes);
    }
  }

  /** A node that is not there is refused when it is alone. */
  @Test
  void absentNodesAloneAreRefused() {
    Kernel kernel = ThisHost.KERNEL;
    int pageBytes = kernel.pageBytes();
    NodeMask there = ThisHost.source().machine().withMemory();
    long page = kernel.map(pageBytes, Kernel.PROT_READ_WRITE);
    try {
      for (int id : new int[] {62, 63, 64, 65, 255, 256, 1023}) {
        // One that the kernel cannot hold is EINVAL too.
        int expected = there.contains(id) ? 0 : Errno.EINVAL;
        assertEquals(expected, kernel.prefer(page, pageBytes, id), "node=" + id);
      }
    } finally {
      kernel.unmap(page, pageBytes);
    }
  }

  /** The nodes of the policy of a page, as it was set. */
  static NodeMask policyNodes(long address) {
    try (Memory mode = new Memory(Integer.BYTES);
        Memory words = new Memory(MASK_BITS / Byte.SIZE)) {
      words.clear();
      long result =
          LibC.syscall(
              SystemCallNumbers.ofThisHost().of("get_mempolicy"),
              Pointer.nativeValue(mode),
              Pointer.nativeValue(words),
              MASK_BITS + 1L,
              address,
              MPOL_F_ADDR,
              0);
      assertEquals(0, result, () -> Errno.name(Errno.last()));
      NodeMask nodes = NodeMask.EMPTY;
      for (int node = 0; node < MASK_BITS; node++) {
        if ((words.getByte(node / Byte.SIZE) >> (node % Byte.SIZE) & 1) != 0) {
          nodes = nodes.or(NodeMask.of(node));
        }
      }
      return nodes;
    }
  }
}
