/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Region;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** The emulated machine's memory is sparse, unnamed, and goes when nobody can see it any more. */
final class BackingFilesTest {
  private static final long GIB = 1L << 30;
  private static final long MIB = 1L << 20;
  private static final int COLLECTIONS_MAX = 100;

  @TempDir Path directory;

  @Test
  void regionLargerThanDirectMemoryTakesNoDisk() {
    long bytes = 64 * GIB;
    // The limit of direct memory, unless set, is the largest heap.
    assertTrue(Runtime.getRuntime().maxMemory() < bytes);
    EmulatedSource source = source(bytes);
    long before = new BackingFiles(directory).usableBytes();
    Region region = source.reserve(0, bytes);
    for (long offset = 0; offset < bytes; offset += GIB) {
      assertTrue(source.commit(region, offset, 4096).isCommitted());
      ByteBuffer page = source.view(region, offset, 4096);
      assertEquals(0, page.getLong(4088));
      page.putLong(4088, offset);
    }
    assertEquals(63 * GIB, source.view(region, 63 * GIB + 4088, 8).getLong());
    assertTrue(before - new BackingFiles(directory).usableBytes() < 8 * GIB);
    source.release(region);
  }

  @Test
  @DisabledOnOs(value = OS.WINDOWS, disabledReason = "a mapped file has a name there")
  void fileHasNoName() {
    EmulatedSource source = source(GIB);
    Region region = source.reserve(0, MIB);
    assertArrayEquals(new String[0], directory.toFile().list());
    source.release(region);
  }

  @Test
  void rootsBeginAtHugePagesAndShareNoByte() {
    EmulatedSource source = source(16 * GIB);
    Region region = source.reserve(0, 3 * GIB + 4096);
    List<ByteBuffer> roots = region.roots();
    for (int root = 0; root < roots.size(); root++) {
      ByteBuffer buffer = roots.get(root);
      assertEquals(0, buffer.alignmentOffset(0, (int) MemorySource.ALIGNMENT_BYTES));
      assertEquals(root < 3 ? GIB : 4096, buffer.capacity());
      assertEquals(0, buffer.get(0));
      assertEquals(0, buffer.get(buffer.capacity() - 1));
      buffer.put(0, (byte) (root + 1)).put(buffer.capacity() - 1, (byte) (root + 11));
    }
    for (int root = 0; root < roots.size(); root++) {
      assertEquals(root + 1, roots.get(root).get(0));
      assertEquals(root + 11, roots.get(root).get(roots.get(root).capacity() - 1));
    }
    source.release(region);
  }

  @Test
  void missingDirectoryIsNamed() {
    Path missing = directory.resolve("missing");
    EmulatedSource source =
        new EmulatedSource(machine(GIB), 4096, () -> 0, new BackingFiles(missing));
    String message =
        assertThrows(UncheckedIOException.class, () -> source.reserve(0, MIB)).getMessage();
    assertTrue(message.contains("directory=" + missing), message);
    assertTrue(message.contains("bytes=1048576"), message);
    assertTrue(message.contains("-Djava.io.tmpdir"), message);
    assertTrue(message.contains("NoSuchFileException"), message);
  }

  @Test
  void interruptedThreadReservesAndStaysInterrupted() {
    EmulatedSource source = source(GIB);
    Thread.currentThread().interrupt();
    Region region = source.reserve(0, MIB);
    assertTrue(Thread.interrupted());
    source.release(region);
  }

  @Test
  @EnabledOnOs(value = OS.LINUX, disabledReason = "reads /proc/self/smaps")
  void onlyCommittedPagesAreTouched() throws IOException {
    EmulatedSource source = source(16 * GIB);
    Region region = source.reserve(0, 16 * GIB);
    assertEquals(0, residentBytes());
    source.commit(region, 3 * GIB, 4096);
    source.purge(region, 0, 16 * GIB);
    source.commit(region, 5 * GIB, 4 * GIB);
    long residentBytes = residentBytes();
    // A file system may cache a few more pages than the one that was read.
    assertTrue(residentBytes <= 16 * MIB, "residentBytes=" + residentBytes);
    source.purge(region, 9 * GIB - 4096, 7 * GIB);
    assertTrue(residentBytes() <= residentBytes + 16 * MIB);
  }

  @Test
  @EnabledOnOs(value = OS.LINUX, disabledReason = "reads /proc/self/smaps")
  void mappingStaysWhileABufferCanBeReached() throws IOException {
    ByteBuffer slice = sliceOfAReleasedRegion(source(4 * GIB));
    collectUntilMapped(1);
    assertEquals(1, mappings());
    assertEquals(0, slice.get(0));
    slice = null;
    collectUntilMapped(0);
    assertEquals(0, mappings());
  }

  /** Of its second mapping; the first may go. */
  private static ByteBuffer sliceOfAReleasedRegion(EmulatedSource source) {
    Region region = source.reserve(0, 2 * GIB);
    source.commit(region, GIB, MIB);
    ByteBuffer slice = source.view(region, GIB, 4096).slice(5, 10);
    slice.put(0, (byte) 1);
    source.release(region);
    return slice;
  }

  private void collectUntilMapped(int wanted) throws IOException {
    for (int i = 0; i < COLLECTIONS_MAX && mappings() > wanted; i++) {
      System.gc();
    }
  }

  private EmulatedSource source(long nodeBytes) {
    return new EmulatedSource(machine(nodeBytes), 4096, () -> 0, new BackingFiles(directory));
  }

  private static Machine machine(long nodeBytes) {
    return Machine.builder().node(Node.of(0, "0", nodeBytes)).build();
  }

  private long mappings() throws IOException {
    return smaps().stream().filter(line -> line.contains(directory.toString())).count();
  }

  /** Returns the bytes of this test's mappings that are in memory. */
  private long residentBytes() throws IOException {
    long kibibytes = 0;
    boolean ours = false;
    for (String line : smaps()) {
      if (line.matches("[0-9a-f]+-[0-9a-f]+ .*")) {
        ours = line.contains(directory.toString());
      } else if (ours && line.startsWith("Rss:")) {
        kibibytes += Long.parseLong(line.replaceAll("\\D", ""));
      }
    }
    return kibibytes << 10;
  }

  private static List<String> smaps() throws IOException {
    return Files.readAllLines(Path.of("/proc/self/smaps"));
  }
}
