/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.topology;

import java.util.Objects;

/**
 * What firmware says of a node's memory as seen from its nearest initiators: the files below {@code
 * nodeN/access0} (kernel documentation, admin-guide/mm/numaperf) and the node's memory tier ({@code
 * /sys/devices/virtual/memory_tiering}).
 *
 * @param initiators the nodes whose CPUs or devices reach this memory best; empty if not said
 * @param readLatencyNanos of one read, in nanoseconds, or {@link #UNKNOWN}
 * @param writeLatencyNanos of one write, in nanoseconds, or {@link #UNKNOWN}
 * @param readBandwidthMebibytes per second, in MiB, or {@link #UNKNOWN}
 * @param writeBandwidthMebibytes per second, in MiB, or {@link #UNKNOWN}
 * @param tier the N of {@code memory_tierN}, smaller is faster, or {@link #UNKNOWN}
 */
public record NodePerformance(
    NodeMask initiators,
    int readLatencyNanos,
    int writeLatencyNanos,
    int readBandwidthMebibytes,
    int writeBandwidthMebibytes,
    int tier) {
  /** Stands for a figure that the machine does not give. */
  public static final int UNKNOWN = -1;

  /** Nothing is known. */
  public static final NodePerformance NONE =
      new NodePerformance(NodeMask.EMPTY, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN);

  /**
   * Makes a set of figures.
   *
   * @param initiators as {@link #initiators()}
   * @param readLatencyNanos as {@link #readLatencyNanos()}
   * @param writeLatencyNanos as {@link #writeLatencyNanos()}
   * @param readBandwidthMebibytes as {@link #readBandwidthMebibytes()}
   * @param writeBandwidthMebibytes as {@link #writeBandwidthMebibytes()}
   * @param tier as {@link #tier()}
   * @throws NullPointerException if {@code initiators} is null
   * @throws IllegalArgumentException if a figure is negative and not {@link #UNKNOWN}
   */
  public NodePerformance {
    Objects.requireNonNull(initiators, "initiators");
    requireFigure("readLatencyNanos", readLatencyNanos);
    requireFigure("writeLatencyNanos", writeLatencyNanos);
    requireFigure("readBandwidthMebibytes", readBandwidthMebibytes);
    requireFigure("writeBandwidthMebibytes", writeBandwidthMebibytes);
    requireFigure("tier", tier);
  }

  private static void requireFigure(String name, int figure) {
    if (figure < UNKNOWN) {
      throw new IllegalArgumentException("figure is negative: " + name + "=" + figure);
    }
  }
}
