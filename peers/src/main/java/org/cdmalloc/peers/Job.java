/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

/**
 * What a fork does with a peer.
 *
 * @param work the work
 * @param threads by how many threads
 * @param size the name of the sizes
 */
record Job(Work work, int threads, String size) {
  /** Returns what options select it by, without the size. */
  String id() {
    return work.id + "-" + threads;
  }

  /** Returns the size as the page names it. */
  String sizeLabel() {
    if (size.equals(Sizes.MIX)) {
      return size;
    }
    int bytes = Integer.parseInt(size);
    if (bytes >= 1 << 20) {
      return (bytes >> 20) + " MiB";
    }
    return bytes >= 1 << 10 ? (bytes >> 10) + " KiB" : bytes + " B";
  }

  /** Returns how many threads there are, in words. */
  String threadsLabel() {
    return threads == 1 ? "1 thread" : threads + " threads";
  }
}
