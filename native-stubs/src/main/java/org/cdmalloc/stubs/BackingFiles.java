/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import org.cdmalloc.spi.MemorySource;

/**
 * Mappings of sparse temporary files without a name, the one kind of zeroed memory that plain Java
 * gives without touching it and without counting it as direct memory. Safe for use by any number of
 * threads.
 *
 * <p>A page that was written is a dirty page of the directory's file system. On a disk the kernel
 * writes it out when memory is short, so that an emulated machine may be larger than the host. On
 * tmpfs it is shared memory: nothing is written out, and a control group counts it as used until
 * the mapping goes. {@code java.io.tmpdir} is the default because {@code /dev/shm} holds half of
 * the host's memory at most, 64 MiB in many containers, and a write beyond that is a fault.
 */
class BackingFiles {
  /** What stays free in the directory, so that pages committed but not yet written find room. */
  static final long MARGIN_BYTES = 64L << 20;

  private static final int ALIGNMENT_BYTES = (int) MemorySource.ALIGNMENT_BYTES;

  private static final Set<OpenOption> UNNAMED_SPARSE_FILE =
      Set.of(
          StandardOpenOption.CREATE_NEW,
          StandardOpenOption.READ,
          StandardOpenOption.WRITE,
          StandardOpenOption.SPARSE,
          StandardOpenOption.DELETE_ON_CLOSE);

  private final Path directory;

  BackingFiles(Path directory) {
    this.directory = directory;
  }

  /** Returns the files of {@code java.io.tmpdir}. */
  static BackingFiles inTemporaryDirectory() {
    return new BackingFiles(Path.of(System.getProperty("java.io.tmpdir")));
  }

  Path directory() {
    return directory;
  }

  /** Returns the room that is left in the directory, in bytes; 0 where it cannot be asked. */
  long usableBytes() {
    return directory.toFile().getUsableSpace();
  }

  /**
   * Maps a new file of {@code bytes}, in roots of {@link MemorySource#ROOT_BYTES}, the last perhaps
   * shorter, that begin at multiples of {@link MemorySource#ALIGNMENT_BYTES}. An interrupt that is
   * pending stays so and does no harm.
   *
   * <p>Java maps where the system likes, at the start of any page. So each mapping is longer by
   * what may have to be skipped, and has a part of the file to itself; what is skipped, and what is
   * left behind the root, stays a hole.
   */
  List<ByteBuffer> map(long bytes) {
    // A file channel closes itself when its thread is interrupted.
    boolean interrupted = Thread.interrupted();
    try (FileChannel file = FileChannel.open(newName(), UNNAMED_SPARSE_FILE, ownerOnly())) {
      List<ByteBuffer> roots = new ArrayList<>();
      for (long offset = 0; offset < bytes; offset += MemorySource.ROOT_BYTES) {
        int rootBytes = (int) Math.min(MemorySource.ROOT_BYTES, bytes - offset);
        long position = roots.size() * (MemorySource.ROOT_BYTES + ALIGNMENT_BYTES);
        roots.add(
            aligned(
                file.map(MapMode.READ_WRITE, position, (long) rootBytes + ALIGNMENT_BYTES),
                rootBytes));
      }
      return roots;
    } catch (IOException e) {
      throw cannotMap(bytes, e);
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** Cuts a root out of a mapping; the slice keeps all of it mapped. */
  private static ByteBuffer aligned(ByteBuffer mapping, int rootBytes) {
    int beyond = mapping.alignmentOffset(0, ALIGNMENT_BYTES);
    return mapping.slice(beyond == 0 ? 0 : ALIGNMENT_BYTES - beyond, rootBytes);
  }

  private Path newName() {
    return directory.resolve("cdmalloc-" + UUID.randomUUID() + ".mem");
  }

  private FileAttribute<?>[] ownerOnly() {
    boolean posix = directory.getFileSystem().supportedFileAttributeViews().contains("posix");
    return posix
        ? new FileAttribute<?>[] {
          PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"))
        }
        : new FileAttribute<?>[0];
  }

  private UncheckedIOException cannotMap(long bytes, IOException e) {
    return new UncheckedIOException(
        "FileChannel.map failed: directory="
            + directory
            + ", bytes="
            + bytes
            + ", usable_bytes="
            + usableBytes()
            + ", error="
            + e
            + "; set -Djava.io.tmpdir to a directory that can be written and has room",
        e);
  }
}
