/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.util.Map;
import java.util.TreeMap;
import org.cdmalloc.NodeAttributes;
import org.cdmalloc.topology.NodeMask;

/** Which attributes a node of a machine may have. */
public final class AttributeRules {
  private AttributeRules() {}

  /**
   * Works out the attributes of all nodes.
   *
   * @param system the system nodes with memory
   * @param devices the device nodes with memory
   * @param chosen what the user chose, by node
   * @return attributes by node, those of its kind where none were chosen
   * @throws IllegalArgumentException if attributes are for no node with memory, or do not fit it
   */
  static Map<Integer, NodeAttributes> of(
      NodeMask system, NodeMask devices, Map<Integer, NodeAttributes> chosen) {
    Map<Integer, NodeAttributes> all = new TreeMap<>();
    system.stream().forEach(node -> all.put(node, NodeAttributes.SYSTEM));
    devices.stream().forEach(node -> all.put(node, NodeAttributes.COHERENT_DEVICE));
    chosen.forEach(
        (node, attributes) -> {
          if (all.replace(node, attributes) == null) {
            throw new IllegalArgumentException(
                "attributes are for no node with memory: node="
                    + node
                    + ", attributes="
                    + attributes
                    + "; name one of nodes "
                    + system.or(devices));
          }
          validate(node, attributes, devices.contains(node), system);
        });
    return Map.copyOf(all);
  }

  /** Returns the nodes whose shrinkers may be called. */
  static NodeMask reclaimed(Map<Integer, NodeAttributes> attributes) {
    return NodeMask.of(
        attributes.entrySet().stream()
            .filter(node -> node.getValue().reclaim())
            .mapToInt(Map.Entry::getKey)
            .toArray());
  }

  /**
   * Throws if a node cannot have these attributes.
   *
   * @param node a node with memory
   * @param attributes any
   * @param isDevice whether it is a device node
   * @param system the system nodes with memory
   * @throws IllegalArgumentException if a system node has a demotion target or a spill ceiling, or
   *     the target of a device is no system node with memory
   */
  public static void validate(
      int node, NodeAttributes attributes, boolean isDevice, NodeMask system) {
    if (!isDevice && attributes.spillCeilingBytes() != 0) {
      throw new IllegalArgumentException(
          "a system node does not spill: node="
              + node
              + ", spillCeilingBytes="
              + attributes.spillCeilingBytes()
              + "; give withSpillCeiling(0), as NodeAttributes.SYSTEM has");
    }
    attributes
        .demotionTarget()
        .ifPresent(
            target -> {
              if (!isDevice || !system.contains(target)) {
                throw new IllegalArgumentException(
                    (isDevice
                            ? "demotion target is no system node with memory"
                            : "a system node is not demoted")
                        + ": node="
                        + node
                        + ", demotionTarget="
                        + target
                        + (isDevice
                            ? "; name one of nodes " + system
                            : "; call withoutDemotionTarget()"));
              }
            });
  }
}
