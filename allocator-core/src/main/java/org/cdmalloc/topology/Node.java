/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.topology;

import java.util.Objects;

/**
 * One NUMA node: its number, its CPUs and its memory.
 *
 * @param id the node's number, 0 … {@link NodeMask#MAX_NODES} − 1
 * @param cpus its online CPUs; empty for a CPU-less node
 * @param bytes its memory, in bytes, at most {@link #MAX_BYTES}; 0 for a node without memory
 * @param movableOnly true if all its memory lies in ZONE_MOVABLE, as that of a hot-added device
 *     node does: the kernel then puts only pages there that it can move away again
 * @param performance what firmware says of the memory's speed
 */
public record Node(
    int id, CpuMask cpus, long bytes, boolean movableOnly, NodePerformance performance) {
  /**
   * The largest memory of a node, in bytes: 4 PiB, all that an x86-64 processor can address. The
   * sum over {@link NodeMask#MAX_NODES} nodes still is a long.
   */
  public static final long MAX_BYTES = 1L << 52;

  /**
   * Makes a node.
   *
   * @param id as {@link #id()}
   * @param cpus as {@link #cpus()}
   * @param bytes as {@link #bytes()}
   * @param movableOnly as {@link #movableOnly()}
   * @param performance as {@link #performance()}
   * @throws NullPointerException if {@code cpus} or {@code performance} is null
   * @throws IllegalArgumentException if {@code id} is not a node number or {@code bytes} is outside
   *     0 … {@link #MAX_BYTES}
   */
  public Node {
    NodeMask.requireNode(id);
    Objects.requireNonNull(cpus, "cpus");
    Objects.requireNonNull(performance, "performance");
    if (bytes < 0 || bytes > MAX_BYTES) {
      throw new IllegalArgumentException(
          "not the memory of a node: node=" + id + ", bytes=" + bytes + ", limit=" + MAX_BYTES);
    }
  }

  /**
   * Returns a node with CPUs, in the ordinary zone, of which nothing else is known.
   *
   * @param id the node's number
   * @param cpus its CPUs, in the kernel's list syntax
   * @param bytes its memory, in bytes; may be 0
   * @return the node
   * @throws IllegalArgumentException as the constructor, or if {@code cpus} is not a list
   */
  public static Node of(int id, String cpus, long bytes) {
    return new Node(id, CpuMask.parse(cpus), bytes, false, NodePerformance.NONE);
  }

  /**
   * Returns a CPU-less node, in ZONE_MOVABLE, of which nothing else is known: what a device's
   * coherent memory looks like.
   *
   * @param id the node's number
   * @param bytes its memory, in bytes; may be 0
   * @return the node
   * @throws IllegalArgumentException as the constructor
   */
  public static Node memoryOnly(int id, long bytes) {
    return new Node(id, CpuMask.EMPTY, bytes, true, NodePerformance.NONE);
  }

  /**
   * Tells whether the node has memory: the kernel's N_MEMORY.
   *
   * @return true if it has at least one byte
   */
  public boolean hasMemory() {
    return bytes > 0;
  }

  /**
   * Tells whether the node has CPUs: the kernel's N_CPU.
   *
   * @return true if it has at least one
   */
  public boolean hasCpus() {
    return !cpus.isEmpty();
  }

  /**
   * Returns the name of the kernel zone in which the node's memory lies.
   *
   * @return {@code Movable} or {@code Normal}
   */
  public String zoneName() {
    return movableOnly ? "Movable" : "Normal";
  }
}
