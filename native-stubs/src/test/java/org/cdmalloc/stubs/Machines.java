/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;

/** The machines of these tests. */
final class Machines {
  private Machines() {}

  static Machine oneNode() {
    return Machine.builder().node(Node.of(0, "0-3", 256L << 20)).build();
  }

  /** Nodes 0 and 1 with CPUs and memory, 2 with CPUs only, 4 with memory only, 3 is absent. */
  static Machine twoSocketsAndADevice() {
    return Machine.builder()
        .node(Node.of(0, "0-3", 64L << 20))
        .node(Node.of(1, "4-7", 128L << 20))
        .node(Node.of(2, "8-9", 0))
        .node(Node.memoryOnly(4, 32L << 20))
        .build();
  }
}
