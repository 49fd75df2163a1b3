/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import org.cdmalloc.topology.NodeMask;

/**
 * What {@code /proc/self/numa_maps} says: for each mapping of the process, how many pages lie on
 * each node; numa(7). It needs no system call that a container profile could refuse. It counts and
 * does not name pages, so it places a page only where all of its mapping is on one node.
 */
final class NumaMaps {
  /**
   * A mapping that the kernel counts.
   *
   * @param start its first address
   * @param end where the next one begins, at its own end or behind it
   * @param pagesByNode how many pages of it are there, by the node that holds them
   */
  record Mapping(long start, long end, Map<Integer, Long> pagesByNode) {
    long pages() {
      return pagesByNode.values().stream().mapToLong(Long::longValue).sum();
    }

    NodeMask nodes() {
      return NodeMask.of(pagesByNode.keySet().stream().mapToInt(Integer::intValue).toArray());
    }

    long pagesOn(NodeMask nodes) {
      return nodes.stream().mapToLong(node -> pagesByNode.getOrDefault(node, 0L)).sum();
    }
  }

  private final NavigableMap<Long, Mapping> mappings = new TreeMap<>();

  private NumaMaps() {}

  /** Parses lines such as {@code 7f12a000 bind=static:1 anon=512 N1=512 kernelpagesize_kB=4}. */
  static NumaMaps of(List<String> lines) {
    NumaMaps maps = new NumaMaps();
    long end = Long.MAX_VALUE;
    for (int i = lines.size() - 1; i >= 0; i--) {
      String[] words = lines.get(i).split(" ", -1);
      long start = Long.parseUnsignedLong(words[0], 16);
      maps.mappings.put(start, mapping(start, end, words));
      end = start;
    }
    return maps;
  }

  private static Mapping mapping(long start, long end, String[] words) {
    Map<Integer, Long> pagesByNode = new TreeMap<>();
    for (String word : words) {
      int equals = word.indexOf('=');
      if (equals > 1 && word.substring(0, equals).matches("N\\d{1,4}")) {
        pagesByNode.put(
            Integer.parseInt(word, 1, equals, 10),
            Long.parseLong(word, equals + 1, word.length(), 10));
      }
    }
    return new Mapping(start, end, Collections.unmodifiableMap(pagesByNode));
  }

  boolean isEmpty() {
    return mappings.isEmpty();
  }

  /** Returns the mapping that holds an address, or one without pages where none is counted. */
  Mapping at(long address) {
    Map.Entry<Long, Mapping> mapping = mappings.floorEntry(address);
    return mapping != null ? mapping.getValue() : new Mapping(address, Long.MAX_VALUE, Map.of());
  }

  /** Returns how many pages the mappings of a range have on certain nodes. */
  long pagesOn(NodeMask nodes, long start, long end) {
    long pages = 0;
    for (Mapping mapping = at(start); mapping.start() < end; mapping = at(mapping.end())) {
      pages += mapping.pagesOn(nodes);
      if (mapping.end() == Long.MAX_VALUE) {
        break;
      }
    }
    return pages;
  }
}
