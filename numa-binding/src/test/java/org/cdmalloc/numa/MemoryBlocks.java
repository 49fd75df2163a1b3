/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import org.cdmalloc.topology.Machine;

/**
 * The memory blocks of a node, which the kernel takes offline and brings online one by one:
 * Documentation/admin-guide/mm/memory-hotplug.rst. They belong to their node while they are
 * offline, too.
 */
final class MemoryBlocks {
  private static final String OFFLINE = "offline";
  private static final int MOST_LOOKS = 10_000;

  private final List<Path> states = new ArrayList<>();

  private final int node;

  private MemoryBlocks(int node) {
    this.node = node;
  }

  static MemoryBlocks of(int node) throws IOException {
    MemoryBlocks blocks = new MemoryBlocks(node);
    Path folder = Machine.SYSFS.resolve("devices/system/node/node" + node);
    try (DirectoryStream<Path> links = Files.newDirectoryStream(folder, "memory[0-9]*")) {
      links.forEach(block -> blocks.states.add(block.resolve("state")));
    }
    return blocks;
  }

  /** Returns the size of each, in bytes. */
  static long bytes() throws IOException {
    Path size = Machine.SYSFS.resolve("devices/system/memory/block_size_bytes");
    return Long.parseLong(Files.readString(size).strip(), 16);
  }

  int count() {
    return states.size();
  }

  /** Takes all offline; throws if the kernel cannot empty one. */
  void offline() throws IOException {
    offline(count());
  }

  /** Takes some offline. */
  void offline(int some) throws IOException {
    set(states.subList(0, some), OFFLINE);
  }

  /**
   * Brings all online, as memory that can go offline again, and waits until this process may use
   * it: the kernel tells cpusets a moment later.
   */
  void online() throws IOException {
    set(states, "online_movable");
    for (int looks = 0; !isAllowed(); looks++) {
      assertTrue(looks < MOST_LOOKS, () -> "memory is online and not allowed: node=" + node);
      LockSupport.parkNanos(1_000_000);
    }
  }

  private boolean isAllowed() {
    return ThisHost.KERNEL.allowedNodes().contains(node);
  }

  /** A block that is as it should be is left alone: the kernel would say EINVAL. */
  private static void set(List<Path> states, String wanted) throws IOException {
    for (Path state : states) {
      boolean isOffline = Files.readString(state).strip().equals(OFFLINE);
      if (isOffline != wanted.equals(OFFLINE)) {
        Files.writeString(state, wanted, StandardOpenOption.WRITE);
      }
    }
  }
}
