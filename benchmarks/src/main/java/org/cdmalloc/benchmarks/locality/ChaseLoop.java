/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

/** Follows a ring of lines on and on; a turn is a load. */
final class ChaseLoop implements Chunks.Loop {
  private long at;

  ChaseLoop(long line) {
    at = line;
  }

  @Override
  public void run(int turns) {
    at = Kernels.chase(at, turns);
  }
}
