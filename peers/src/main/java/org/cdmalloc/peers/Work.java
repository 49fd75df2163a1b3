/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import java.util.List;
import java.util.stream.IntStream;

/** The works, in the order of the page. */
enum Work {
  PAIR("pair", "Allocated and freed at once", "PairWork.pair", 1),
  BATCH_RANDOM(
      "batch-random", "256 blocks allocated, then freed in random order", "BatchWork.batch", 1),
  BATCH_FIFO("batch-fifo", "256 blocks, the oldest freed first", "BatchWork.batch", 1),
  BATCH_LIFO("batch-lifo", "256 blocks, the newest freed first", "BatchWork.batch", 1),
  HAND_OVER(
      "hand-over",
      "One thread allocates, another one frees, 1,024 blocks between them at most",
      "HandOverWork.handOver",
      2),
  CHURN(
      "churn",
      "Of 1,024 blocks of each thread one is freed at random and another one allocated",
      "ChurnWork.step",
      2);

  /** What options call it. */
  final String id;

  /** What the page says of it. */
  final String title;

  /** The benchmark. */
  final String method;

  private static final int MOST_THREADS = 2;

  private final int leastThreads;

  Work(String id, String title, String method, int leastThreads) {
    this.id = id;
    this.title = title;
    this.method = method;
    this.leastThreads = leastThreads;
  }

  /** Returns with how many threads it is done. */
  List<Integer> threads() {
    return IntStream.rangeClosed(leastThreads, MOST_THREADS).boxed().toList();
  }

  /** A full ring of the largest blocks would take 1 GiB. */
  boolean takes(String size) {
    return this != HAND_OVER || !size.equals("1048576");
  }

  /** Single steps are timed, and the page has quantiles of them. */
  boolean sampled() {
    return this == CHURN;
  }
}
