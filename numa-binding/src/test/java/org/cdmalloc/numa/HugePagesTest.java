/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.jna.Pointer;
import java.util.List;
import org.cdmalloc.NativeCallException;
import org.junit.jupiter.api.Test;

/** Huge pages are made where they are asked for, and counted. */
final class HugePagesTest {
  private static final long HUGE = 2 << 20;

  @Test
  void mappingsThatARangeTouchesAreAddedUp() {
    List<String> smaps =
        List.of(
            "10000-20000 rw-p 00000000 00:00 0 ",
            "Size:                 64 kB",
            "AnonHugePages:         4 kB",
            "20000-40000 rw-p 00000000 00:00 0 [heap]",
            "AnonHugePages:        16 kB",
            "VmFlags: rd wr",
            "7f0000000000-7f0000200000 ---p 00000000 00:00 0",
            "AnonHugePages:      2048 kB");
    assertEquals(4 << 10, HugePages.anonymousHugeBytes(smaps, 0x10000, 0x20000));
    assertEquals(20 << 10, HugePages.anonymousHugeBytes(smaps, 0x1f000, 0x21000));
    assertEquals(2 << 20, HugePages.anonymousHugeBytes(smaps, 0x7f0000100000L, 0x7f0000101000L));
    assertEquals(0, HugePages.anonymousHugeBytes(smaps, 0x50000, 0x60000));
    assertEquals(0, HugePages.anonymousHugeBytes(List.of(), 0, Long.MAX_VALUE));
  }

  @Test
  void whatWasWrittenBecomesHugeOrStaysAsItIs() {
    long mapping = ThisHost.KERNEL.map(4 * HUGE, Kernel.PROT_READ_WRITE);
    try {
      long address = (mapping + HUGE - 1) & -HUGE;
      HugePages.avoid(address, 2 * HUGE);
      for (long at = 0; at < 2 * HUGE; at += 4096) {
        new Pointer(address).setLong(at, at);
      }
      assertEquals(0, HugePages.bytes(address, 2 * HUGE));
      HugePages.use(address, 2 * HUGE);
      long bytes = HugePages.bytes(address, 2 * HUGE);
      assertTrue(bytes % HUGE == 0 && bytes <= 2 * HUGE, "bytes=" + bytes);
      for (long at = 0; at < 2 * HUGE; at += 4096) {
        assertEquals(at, new Pointer(address).getLong(at));
      }
    } finally {
      ThisHost.KERNEL.unmap(mapping, 4 * HUGE);
    }
    assertThrows(NativeCallException.class, () -> HugePages.avoid(mapping, HUGE));
  }
}
