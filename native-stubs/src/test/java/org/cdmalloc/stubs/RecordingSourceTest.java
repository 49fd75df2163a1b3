/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.EnumSet;
import java.util.List;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Region;
import org.junit.jupiter.api.Test;

/** Each call leaves one line, in order, with its arguments and its outcome. */
final class RecordingSourceTest {
  private static final long MEBIBYTE = 1 << 20;

  private final RecordingSource source =
      new RecordingSource(EmulatedSource.of(Machines.oneNode()), 12);

  @Test
  void everyCallIsALine() {
    Region one = source.reserve(0, MEBIBYTE);
    Region two = source.reserve(0, MEBIBYTE);
    source.commit(two, 0, 4096);
    source.purge(two, 0, 8192);
    source.commit(one, 0, 4096);
    source.freeBytes(0);
    source.release(two);
    assertThrows(IllegalStateException.class, () -> source.release(two));
    source.currentNode();
    source.osPageBytes();
    List<String> lines = source.lines();
    assertEquals("reserve(stripe=0, bytes=1048576) = region=1", lines.get(0));
    assertEquals("reserve(stripe=0, bytes=1048576) = region=2", lines.get(1));
    assertEquals("commit(region=2, offset=0, bytes=4096) = COMMITTED", lines.get(2));
    assertEquals("purge(region=2, offset=0, bytes=8192) = 0", lines.get(3));
    assertEquals("commit(region=1, offset=0, bytes=4096) = COMMITTED", lines.get(4));
    assertEquals("freeBytes(node=0) = " + (256 * MEBIBYTE - 4096), lines.get(5));
    assertEquals("release(region=2) = void", lines.get(6));
    assertTrue(
        lines.get(7).startsWith("release(region=foreign) threw IllegalStateException: "),
        lines.get(7));
    assertEquals("currentNode() = 0", lines.get(8));
    assertEquals("osPageBytes() = 4096", lines.get(9));
    assertEquals(10, lines.size());
    assertEquals(List.of(lines.get(2), lines.get(4)), source.lines(EnumSet.of(SourceCall.COMMIT)));
  }

  @Test
  void refusalsAndExceptionsAreOutcomes() {
    Region region = source.reserve(0, 512 * MEBIBYTE);
    source.commit(region, 0, 512 * MEBIBYTE);
    assertThrows(IllegalArgumentException.class, () -> source.view(region, 1, -1));
    assertThrows(
        UnsupportedOperationException.class, () -> source.addressOf(ByteBuffer.allocateDirect(8)));
    List<String> lines = source.lines();
    String commit = "commit(region=1, offset=0, bytes=536870912) = NODE_FULL ";
    assertTrue(lines.get(1).startsWith(commit), lines.get(1));
    String view = "view(region=1, offset=1, bytes=-1) threw IllegalArgumentException: ";
    assertTrue(lines.get(2).startsWith(view), lines.get(2));
    String address = "addressOf(capacity=8) threw UnsupportedOperationException: ";
    assertTrue(lines.get(3).startsWith(address), lines.get(3));
  }

  @Test
  void theNewestLinesAreKeptAndAllCallsCounted() {
    source.isReal();
    for (int i = 0; i < 20; i++) {
      source.name();
    }
    assertEquals(12, source.lines().size());
    assertEquals("name() = emulated", source.lines().get(0));
    assertEquals(20, source.count(SourceCall.NAME));
    assertEquals(1, source.count(SourceCall.IS_REAL));
    assertEquals(0, source.count(SourceCall.MACHINE));
    source.clear();
    assertEquals(List.of(), source.lines());
    assertEquals(0, source.count(SourceCall.NAME));
  }

  @Test
  void aRecordNeedsALine() {
    MemorySource inside = EmulatedSource.of(Machines.oneNode());
    assertThrows(IllegalArgumentException.class, () -> new RecordingSource(inside, 0));
  }
}
