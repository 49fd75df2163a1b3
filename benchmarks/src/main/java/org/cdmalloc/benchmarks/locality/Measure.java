/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

/** What is measured; the constants' order is that of the report. */
enum Measure {
  LATENCY(
      "idle latency",
      "ns",
      "one load of a line whose address the load before it brought, in random order; nothing else"
          + " runs"),
  READ("read", "GB/s", "one word of each line is loaded; the bytes of the lines count"),
  WRITE("write", "GB/s", "stored bytes count, and not what is read of a line before it is written"),
  COPY("copy", "GB/s", "bytes read and bytes written count; pieces of 32 KiB, ordinary stores"),
  TRIAD("triad", "GB/s", "a = b + 3 c in doubles: three ranges count"),
  LOADED_LATENCY(
      "loaded latency", "ns", "as idle latency, while other CPUs of the node copy there"),
  PING_PONG(
      "ping-pong", "ns", "one way of a line between two CPUs: half a round trip, plain volatile"),
  ALLOCATION("allocation", "ns", "a block of 4 KiB is allocated at the placement and freed");

  /** How the report calls it. */
  final String title;

  /** The unit of its figures; decimal, where it counts bytes. */
  final String unit;

  /** What counts. */
  final String rule;

  Measure(String title, String unit, String rule) {
    this.title = title;
    this.unit = unit;
    this.rule = rule;
  }

  /** Tells whether a larger figure is a better one. */
  boolean isBandwidth() {
    return unit.equals("GB/s");
  }
}
