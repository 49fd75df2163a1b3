/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.Test;

/** What the tables of the memory policy calls do not say about the emulated kernel. */
final class EmulatedKernelTest {
  private static final int PAGE = 4096;
  private static final long GIB = 1L << 30;
  private static final int BIND = 2;
  private static final int PREFERRED = 1;
  private static final int DEFAULT = 0;

  private final EmulatedKernel kernel = kernel(4, 4);

  /** Boots a machine whose nodes, from 0, have room for so many pages. */
  private static EmulatedKernel kernel(int... pages) {
    Machine.Builder machine = Machine.builder();
    for (int node = 0; node < pages.length; node++) {
      machine.node(Node.of(node, Integer.toString(node), (long) pages[node] * PAGE));
    }
    return new EmulatedKernel(machine.build(), PAGE, () -> 0);
  }

  private static int bind(EmulatedKernel kernel, long address, long bytes, int mode, int node) {
    return kernel.mbind(address, bytes, mode, NodeMask.of(node).toWords(1), 65, 0);
  }

  private static int populate(EmulatedKernel kernel, long address, long bytes) {
    return kernel.advise(address, bytes, Uapi.MADV_POPULATE_WRITE);
  }

  private static int[] nodes(EmulatedKernel kernel, long address, int pages) {
    long[] addresses = new long[pages];
    Arrays.setAll(addresses, page -> address + (long) page * PAGE);
    int[] status = new int[pages];
    assertEquals(0, kernel.movePages(addresses, null, status, 0));
    return status;
  }

  @Test
  void aKillNamesThePolicyAndKeepsTheAccountsRight() {
    long address = kernel.map(8 * PAGE);
    bind(kernel, address, 8 * PAGE, BIND, 1);
    OomKillError kill = assertThrows(OomKillError.class, () -> populate(kernel, address, 8 * PAGE));
    assertTrue(kill.getMessage().contains("policy=bind:1"), kill.getMessage());
    assertEquals(0, kernel.freeBytes(1));
    assertEquals(4 * PAGE, kernel.freeBytes(0));
    assertEquals(0, kernel.unmap(address, 8 * PAGE));
    assertEquals(4 * PAGE, kernel.freeBytes(1));
  }

  @Test
  void withoutAPolicyAKillComesWhenEveryNodeIsFull() {
    long address = kernel.map(9 * PAGE);
    assertEquals(0, populate(kernel, address, 8 * PAGE));
    assertArrayEquals(new int[] {0, 0, 0, 0, 1, 1, 1, 1}, nodes(kernel, address, 8));
    assertThrows(OomKillError.class, () -> populate(kernel, address, 9 * PAGE));
    assertEquals(8, kernel.present(address, 9 * PAGE).cardinality());
  }

  @Test
  void aThreadsPolicyIsItsOwn() throws Exception {
    assertEquals(0, kernel.setMempolicy(PREFERRED, new long[] {2}, 65));
    ExecutorService other = Executors.newSingleThreadExecutor();
    try {
      int[] value = {-1};
      assertEquals(0, other.submit(() -> kernel.getMempolicy(value, null, 0, 0, 0)).get());
      assertEquals(DEFAULT, value[0]);
      assertEquals(0, kernel.getMempolicy(value, null, 0, 0, 0));
      assertEquals(PREFERRED, value[0]);
      long address = kernel.map(2 * PAGE);
      populate(kernel, address, PAGE);
      other.submit(() -> populate(kernel, address + PAGE, PAGE)).get();
      assertArrayEquals(new int[] {1, 0}, nodes(kernel, address, 2));
    } finally {
      other.shutdownNow();
    }
  }

  @Test
  void onlyWordsOfNodesThatCanBeAreTold() {
    NodeMask named = NodeMask.of(0, 63, 64, 255);
    int mode = BIND | Uapi.MPOL_F_STATIC_NODES;
    assertEquals(0, kernel.setMempolicy(mode, named.toWords(4), 257));
    long[] mask = {0, -1, -1, -1};
    assertEquals(0, kernel.getMempolicy(null, mask, 257, 0, 0));
    assertArrayEquals(new long[] {1L << 63 | 1, 0, 0, 0}, mask);
    mask[1] = -1;
    // Nothing behind maxnode is written; a page of bits is the most.
    assertEquals(0, kernel.getMempolicy(null, mask, 65, 0, 0));
    assertEquals(-1, mask[1]);
    assertEquals(0, kernel.getMempolicy(null, new long[513], 32769, 0, 0));
    assertEquals(-Uapi.EINVAL, kernel.getMempolicy(null, new long[513], 32770, 0, 0));
    assertEquals(-Uapi.EFAULT, kernel.getMempolicy(null, mask, 258, 0, 0));
  }

  @Test
  void aMaskShorterThanItsBitsIsABadAddress() {
    assertEquals(-Uapi.EFAULT, kernel.setMempolicy(BIND, new long[] {1}, 66));
  }

  @Test
  void reservationsHaveDifferentAddressesEvenOfUnmappedOnes() {
    long first = kernel.map(PAGE);
    kernel.unmap(first, PAGE);
    long second = kernel.map(PAGE + 1);
    assertTrue(second > first);
    assertEquals(0, first % (2 << 20));
    assertEquals(0, second % (2 << 20));
    // Rounded up to whole pages.
    assertEquals(0, populate(kernel, second, 2 * PAGE));
    assertEquals(-Uapi.ENOMEM, populate(kernel, second, 3 * PAGE));
  }

  @Test
  void policiesOfManyChunksInOrderAreTwoMappings() {
    EmulatedKernel large = kernel(2000);
    long address = large.map(1000 * PAGE);
    bind(large, address, 1000 * PAGE, PREFERRED, 0);
    for (int page = 0; page < 999; page++) {
      bind(large, address + (long) page * PAGE, PAGE, BIND, 0);
      assertEquals(2, large.mappings());
    }
    for (int page = 1; page < 999; page += 2) {
      bind(large, address + (long) page * PAGE, PAGE, PREFERRED, 0);
    }
    assertEquals(1000, large.mappings());
    bind(large, address, 1000 * PAGE, PREFERRED, 0);
    assertEquals(1, large.mappings());
  }

  @Test
  void aLargeRangeCostsBitsForWhatIsThere() {
    EmulatedKernel large = kernel(100);
    long address = large.map(64 * GIB);
    assertEquals(0, bind(large, address, 64 * GIB, PREFERRED, 0));
    assertEquals(0, populate(large, address + 63 * GIB, PAGE));
    assertEquals(1, large.present(address, 64 * GIB).cardinality());
    assertEquals(0, large.advise(address, 64 * GIB, Uapi.MADV_DONTNEED));
    assertEquals(100 * PAGE, large.freeBytes(0));
  }

  @Test
  void weightsHaveTheKernelsRange() {
    assertThrows(IllegalArgumentException.class, () -> kernel.setWeight(0, 0));
    assertThrows(IllegalArgumentException.class, () -> kernel.setWeight(0, 256));
    kernel.setWeight(0, 255);
  }
}
