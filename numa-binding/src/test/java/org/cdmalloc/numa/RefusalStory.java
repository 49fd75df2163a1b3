/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import com.sun.jna.Pointer;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.logging.SimpleFormatter;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.Placement;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.topology.NodeMask;

/**
 * What a user sees where the host refuses something: opens an allocator, asks implicitly, by name
 * and of a device node, and prints what comes back. The process's own refusal is the argument.
 */
final class RefusalStory {
  private static final int CAPACITY_BYTES = 16 << 20;
  static final int BLOCK_BYTES = 4 << 20;

  /** Loggers that nobody holds forget their level. */
  private static final Logger JNA = Logger.getLogger("com.sun.jna.Native");

  private final PrintStream out;
  private final List<String> logged = new ArrayList<>();

  private RefusalStory(PrintStream out) {
    this.out = out;
  }

  public static void main(String[] arguments) {
    if (arguments.length == 1) {
      filter(arguments[0]).install();
    }
    new RefusalStory(
            new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8))
        .tell();
  }

  /** The part of a profile that concerns the calls of a memory source. */
  private static SeccompFilter filter(String profile) {
    SeccompFilter filter = new SeccompFilter(SystemCallNumbers.ofThisHost());
    String[] policy = {"mbind", "get_mempolicy", "set_mempolicy", "set_mempolicy_home_node"};
    String[] move = {"move_pages", "migrate_pages"};
    return switch (profile) {
      // profiles/seccomp/default.json of github.com/moby/moby; containerd's is the same here.
      case "docker" -> filter.refuse(Errno.EPERM, policy).refuse(Errno.EPERM, move);
      case "docker-sys-nice" -> filter.refuse(Errno.EPERM, move);
      // pkg/seccomp/seccomp.json of github.com/containers/common
      case "podman" ->
          filter.refuse(Errno.EPERM, move).refuse(Errno.ENOSYS, "set_mempolicy_home_node");
      case "hidden" -> filter.refuse(Errno.ENOSYS, policy).refuse(Errno.ENOSYS, move);
      case "linux-5.10" ->
          filter
              .refuse(Errno.ENOSYS, "set_mempolicy_home_node")
              .refuseThirdArgument(Errno.EINVAL, "madvise", Kernel.MADV_POPULATE_WRITE);
      default -> throw new IllegalArgumentException("no such profile: " + profile);
    };
  }

  private void tell() {
    // JNA itself prints a stack trace where its folder cannot be written.
    JNA.setLevel(Level.OFF);
    Logger logger = Logger.getLogger("org.cdmalloc");
    logger.setUseParentHandlers(false);
    logger.addHandler(
        new Handler() {
          @Override
          public void publish(LogRecord record) {
            logged.add(record.getLevel() + " " + new SimpleFormatter().formatMessage(record));
          }

          @Override
          public void flush() {}

          @Override
          public void close() {}
        });
    try (NodeAllocator first = open();
        NodeAllocator second = open()) {
      out.println("source: " + second.source().name());
      out.println("promises placement: " + second.source().diagnosis().binds());
      second.source().diagnosis().findings().forEach(text -> out.println("finding: " + text));
      logged.forEach(text -> out.println("logged: " + text));
      long block = first.allocate(BLOCK_BYTES);
      Residency residency = first.residency(block);
      out.println("implicit request: served, " + residency);
      first.free(block);
      int node = first.machine().withMemory().first();
      out.println("mbind with MPOL_MF_MOVE: " + move(node));
      out.println("onNode(" + node + "): " + outcome(() -> onNode(first, node)));
      out.println("device node: " + outcome(() -> device(first)));
    } catch (IllegalStateException e) {
      out.println("open: " + e);
    }
  }

  /**
   * Whether the call is permitted that moves pages which fell on another node; here they lie where
   * they should, so that none is moved.
   */
  private static String move(int node) {
    Kernel kernel = ThisHost.KERNEL;
    long page = kernel.map(kernel.pageBytes(), Kernel.PROT_READ_WRITE);
    new Pointer(page).setByte(0, (byte) 1);
    int flags = Kernel.MPOL_MF_STRICT | Kernel.MPOL_MF_MOVE;
    int errno = kernel.bind(page, kernel.pageBytes(), NodeMask.of(node), flags);
    kernel.unmap(page, kernel.pageBytes());
    return errno == 0 ? "permitted" : Errno.name(errno);
  }

  private static NodeAllocator open() {
    return NodeAllocator.builder()
        .capacity(FirstNode.id(), CAPACITY_BYTES)
        .deviceArena(1000, FirstNode.id(), CAPACITY_BYTES)
        .open();
  }

  private static void onNode(NodeAllocator memory, int node) {
    memory.free(memory.allocate(BLOCK_BYTES, Placement.onNode(node)));
  }

  private static void device(NodeAllocator memory) {
    memory.device(1000).online();
    memory.free(memory.device(1000).allocate(BLOCK_BYTES));
  }

  private static String outcome(Runnable request) {
    try {
      request.run();
      return "served";
    } catch (RuntimeException e) {
      return e.toString();
    }
  }
}
