/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/**
 * What of each node's free pages an ordinary request cannot have without the kernel looking at
 * other nodes first, from proc(5) zoneinfo: in each zone at most what is free there, and of that
 *
 * <ul>
 *   <li>the low mark, and the reserve for requests that can use no higher zone ({@code
 *       __zone_watermark_ok} of mm/page_alloc.c);
 *   <li>what marks rise by while memory is taken: a request that has to break up a block of another
 *       migrate type boosts them ({@code boost_watermark}), but for zones that hold movable pages
 *       only;
 *   <li>what the list of a CPU takes beyond what was asked for when it is filled ({@code
 *       nr_pcp_alloc}): those pages are no longer free when the next page is asked for.
 * </ul>
 */
final class ZoneMarks {
  /** CONFIG_PCP_BATCH_SCALE_MAX: a list is filled by up to so many doublings of its batch. */
  private static final int BATCH_DOUBLINGS = 5;

  private static final int BOOST_DENOMINATOR = 10_000;
  private static final int BOOST_LEAST_BLOCKS = 4;

  private final Map<Integer, Long> unusableBytes = new HashMap<>();
  private final Map<Integer, Long> mostBytes = new HashMap<>();
  private final Map<Integer, Long> movableBytes = new HashMap<>();
  private final Map<Integer, Long> contiguousBytes = new HashMap<>();
  private final long boostFactor;
  private final int pageBytes;

  private int node;
  private boolean isMovable;
  private long free;
  private long boost;
  private long low;
  private long high;
  private long managed;
  private long contiguous;
  private long reserve;
  private long listHigh;
  private long refill;

  private ZoneMarks(long boostFactor, int pageBytes) {
    this.boostFactor = boostFactor;
    this.pageBytes = pageBytes;
  }

  /**
   * Reads the marks of all nodes.
   *
   * @param proc where procfs is mounted
   * @param pageBytes the size of an OS page, in which procfs counts
   */
  static ZoneMarks read(Path proc, int pageBytes) {
    long factor = KeyedText.of(proc.resolve("sys/vm/watermark_boost_factor")).single();
    ZoneMarks marks = new ZoneMarks(Math.max(0, factor), pageBytes);
    for (String line : KeyedText.lines(proc.resolve("zoneinfo"))) {
      marks.line(line.strip());
    }
    marks.endZone();
    return marks;
  }

  /** Returns how much of a node's free memory is not for ordinary requests. */
  long unusableBytes(int ofNode) {
    return unusableBytes.getOrDefault(ofNode, 0L);
  }

  /**
   * Returns how much it may be at another moment: what is free changes from one to the next, and a
   * zone that had less free than is not for ordinary requests may have it all.
   */
  long mostUnusableBytes(int ofNode) {
    return mostBytes.getOrDefault(ofNode, 0L);
  }

  /** Returns how much of a node lies in zones of movable pages only, ZONE_MOVABLE. */
  long movableBytes(int ofNode) {
    return movableBytes.getOrDefault(ofNode, 0L);
  }

  /** Returns how much of a node is kept for contiguous requests, CMA; told since Linux 5.12. */
  long contiguousBytes(int ofNode) {
    return contiguousBytes.getOrDefault(ofNode, 0L);
  }

  private void line(String text) {
    if (text.startsWith("Node ") && text.indexOf(',') > 0) {
      endZone();
      node = (int) number(text, 5);
      isMovable = text.endsWith(" Movable");
    } else if (text.startsWith("pages free ")) {
      free = number(text, 11);
    } else if (text.startsWith("boost ")) {
      boost = number(text, 6);
    } else if (text.startsWith("low ")) {
      low = number(text, 4);
    } else if (text.startsWith("high ")) {
      high = number(text, 5);
    } else if (text.startsWith("managed ")) {
      managed = number(text, 8);
    } else if (text.startsWith("cma ")) {
      contiguous = number(text, 4);
    } else if (text.startsWith("protection: (")) {
      reserve = number(text.substring(text.lastIndexOf(' ') + 1).replace("(", ""), 0);
    } else if (text.startsWith("high:")) {
      listHigh = number(text, 5);
    } else if (text.startsWith("batch:")) {
      long batch = number(text, 6);
      refill = Math.max(refill, Math.min(Math.max(listHigh, batch), batch << BATCH_DOUBLINGS));
    }
  }

  private void endZone() {
    // The marks are printed with the boost of the moment.
    long unusable = low - boost + mostBoost() + reserve + refill;
    unusableBytes.merge(node, Math.min(free, unusable) * pageBytes, Long::sum);
    mostBytes.merge(node, unusable * pageBytes, Long::sum);
    movableBytes.merge(node, isMovable ? managed * pageBytes : 0, Long::sum);
    contiguousBytes.merge(node, contiguous * pageBytes, Long::sum);
    free = 0;
    boost = 0;
    low = 0;
    high = 0;
    managed = 0;
    contiguous = 0;
    reserve = 0;
    listHigh = 0;
    refill = 0;
  }

  private long mostBoost() {
    long block = CommitProtocol.CHUNK_BYTES / pageBytes;
    long most = (high - boost) * boostFactor / BOOST_DENOMINATOR;
    return isMovable || most == 0 || managed < BOOST_LEAST_BLOCKS * block
        ? 0
        : Math.max(most, block);
  }

  /** Returns the number that a text has at a place, after blanks; 0 if it has none there. */
  private static long number(String text, int from) {
    String digits = text.substring(from).strip();
    int end = 0;
    while (end < digits.length() && end < 18 && Character.isDigit(digits.charAt(end))) {
      end++;
    }
    return end == 0 ? 0 : Long.parseLong(digits, 0, end, 10);
  }
}
