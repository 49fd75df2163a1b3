/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.util.Arrays;
import org.cdmalloc.spi.Residency;

/** Asks where pages lie, by the best call that this process is allowed. */
final class ResidencyQuery {
  /** Pages asked about in one call: keeps the arrays of a large query small. */
  private static final int CALL_PAGES = 1 << 14;

  private final Kernel kernel;
  private final Capability.ResidencyCall call;
  private final int pageBytes;

  ResidencyQuery(Kernel kernel, Capability.ResidencyCall call) {
    this.kernel = kernel;
    this.call = call;
    this.pageBytes = kernel.pageBytes();
  }

  /** Asks about a range of whole pages. The caller holds the lock of the region's node. */
  Residency ask(LinuxRegion region, long offset, long bytes) {
    int[] nodes = new int[Math.toIntExact(bytes / pageBytes)];
    for (int from = 0; from < nodes.length; from += CALL_PAGES) {
      int[] part = new int[Math.min(CALL_PAGES, nodes.length - from)];
      ask(region, offset + (long) from * pageBytes, part);
      System.arraycopy(part, 0, nodes, from, part.length);
    }
    return new Residency(pageBytes, nodes, call.callName());
  }

  private void ask(LinuxRegion region, long offset, int[] nodes) {
    switch (call) {
      case MOVE_PAGES -> {
        long address = region.address() + offset;
        int errno = kernel.queryPages(address, pageBytes, nodes);
        if (errno != 0) {
          throw Errno.failed("move_pages", errno, "address=0x" + Long.toHexString(address));
        }
        Arrays.setAll(nodes, page -> node(nodes[page]));
      }
      case GET_MEMPOLICY ->
          // This call brings absent pages in, so it is asked about committed ones only.
          Arrays.setAll(
              nodes,
              page -> {
                long at = offset + (long) page * pageBytes;
                return region.committed().contains(at)
                    ? node(kernel.nodeOfPage(region.address() + at))
                    : Residency.NOT_PRESENT;
              });
      default -> Arrays.fill(nodes, Residency.UNKNOWN);
    }
  }

  /** A page that was never written is ENOENT, or EFAULT where it was read as the page of zeros. */
  private static int node(int status) {
    if (status >= 0) {
      return status;
    }
    return status == -Errno.ENOENT || status == -Errno.EFAULT
        ? Residency.NOT_PRESENT
        : Residency.UNKNOWN;
  }
}
