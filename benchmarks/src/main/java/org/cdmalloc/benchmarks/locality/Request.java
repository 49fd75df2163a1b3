/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import java.util.List;
import org.cdmalloc.topology.NodeMask;

/**
 * What a user wants measured. Immutable.
 *
 * @param cpuNodes the nodes whose CPUs measure
 * @param memoryNodes the nodes whose memory is measured
 * @param effort how long
 * @param workingSets how much memory is chased through, in bytes; none for a choice by the caches
 * @param threads how many CPUs of a node measure its bandwidth together; 0 for all
 */
record Request(
    NodeMask cpuNodes, NodeMask memoryNodes, Effort effort, List<Long> workingSets, int threads) {
  Request {
    workingSets = List.copyOf(workingSets);
  }
}
