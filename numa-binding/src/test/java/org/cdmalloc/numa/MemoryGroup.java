/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;

/** A memory control group of its own for a test, below one that this process is in. */
final class MemoryGroup implements AutoCloseable {
  private static final Path MOUNT = Path.of("/sys/fs/cgroup");
  private static final AtomicInteger MADE = new AtomicInteger();

  private final Path directory;
  private final boolean version1;

  private MemoryGroup(Path directory) {
    this.directory = directory;
    this.version1 = Files.exists(directory.resolve("memory.limit_in_bytes"));
  }

  /** Makes a group without a limit; nothing where this process may not. */
  static Optional<MemoryGroup> make() throws IOException {
    for (String line : KeyedText.lines(Path.of("/proc/self/cgroup"))) {
      String[] parts = line.split(":", 3);
      boolean version2 = parts[1].isEmpty();
      if (version2 || parts[1].equals("memory")) {
        Path mount = version2 ? MOUNT : MOUNT.resolve("memory");
        Optional<MemoryGroup> group = makeBelow(mount, mount.resolve(parts[2].substring(1)));
        if (group.isPresent()) {
          return group;
        }
      }
    }
    return Optional.empty();
  }

  /** Version 2 gives controllers to groups without processes only: the way up leads to one. */
  private static Optional<MemoryGroup> makeBelow(Path mount, Path own) throws IOException {
    for (Path above = own; above.startsWith(mount); above = above.getParent()) {
      Path directory =
          above.resolve(
              "cdmalloc-limit-" + ProcessHandle.current().pid() + "-" + MADE.incrementAndGet());
      if (Files.isWritable(above) && directory.toFile().mkdir()) {
        if (Files.isWritable(directory.resolve("memory.limit_in_bytes"))
            || Files.isWritable(directory.resolve("memory.max"))) {
          return Optional.of(new MemoryGroup(directory));
        }
        Files.delete(directory);
      }
    }
    return Optional.empty();
  }

  /** Sets the limit, and leaves no swap where the kernel counts it. */
  void limit(long bytes) throws IOException {
    if (version1) {
      write("memory.limit_in_bytes", bytes);
      if (Files.isWritable(directory.resolve("memory.memsw.limit_in_bytes"))) {
        write("memory.memsw.limit_in_bytes", bytes);
      }
    } else {
      write("memory.max", bytes);
      if (Files.isWritable(directory.resolve("memory.swap.max"))) {
        write("memory.swap.max", 0);
      }
    }
  }

  private void write(String file, long value) throws IOException {
    Files.writeString(directory.resolve(file), Long.toString(value));
  }

  /** What a shell does to be in the group, with all that it executes. */
  String entering() {
    return "echo $$ > '" + directory.resolve("cgroup.procs") + "'";
  }

  Path directory() {
    return directory;
  }

  /** Returns how many processes of the group the kernel has killed. */
  long kills() {
    return KeyedText.of(directory.resolve(version1 ? "memory.oom_control" : "memory.events"))
        .bytes("oom_kill");
  }

  /**
   * Removes the group, whose processes must have ended. The kernel may need a moment to see that;
   * then it goes when this JVM ends.
   */
  @Override
  public void close() {
    if (!directory.toFile().delete()) {
      directory.toFile().deleteOnExit();
    }
  }
}
