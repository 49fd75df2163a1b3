/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

/**
 * Stands for the SIGKILL of the kernel's OOM killer: a page was touched that no node in reach of
 * its policy had room for. A process cannot catch that, so nothing but a test should catch this.
 */
final class OomKillError extends Error {
  private static final long serialVersionUID = 1L;

  OomKillError(MemoryPolicy policy, long page) {
    super(
        "out of memory, the process would be killed: policy="
            + policy
            + ", page="
            + page
            + "; compare with the free memory of the nodes before touching");
  }
}
