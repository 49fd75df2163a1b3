/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import java.util.ArrayList;
import java.util.List;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;

/**
 * Which nodes are device nodes when nobody says so, and why.
 *
 * @param nodes the device nodes
 * @param reasons sentences for people, at least one
 */
record DefaultDevices(NodeMask nodes, List<String> reasons) {
  /**
   * Decides for a machine.
   *
   * @param machine the machine
   * @return its nodes with memory and without CPUs
   */
  static DefaultDevices of(Machine machine) {
    NodeMask devices = machine.memoryOnly();
    List<String> reasons = new ArrayList<>();
    devices.stream()
        .forEach(
            node ->
                reasons.add("node " + node + " is taken for a device: it has memory and no CPUs"));
    if (devices.isEmpty()) {
      reasons.add("no node is taken for a device: none has memory and no CPUs");
    } else if (devices.containsAll(machine.withMemory())) {
      reasons.add("no system node with memory is left: an allocator needs one");
    }
    return new DefaultDevices(devices, reasons);
  }
}
