/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.util.Objects;
import java.util.OptionalInt;

/**
 * What may be done with the memory of a node, beside serving requests. Each kind of node has a
 * preset, which is its default, so that nobody has to manage policies (B. Herrenschmidt, linux-mm,
 * 2017, on the coherent-device-memory patches); a node that is to differ gets a changed copy.
 * Attributes are data of a node, and not a kind of node: an attribute that does nothing on a kind
 * of node has one value there, and any other is refused when the allocator is opened. Immutable.
 *
 * @param reclaim whether the node's shrinkers may be called when it runs short
 * @param demotionTarget the system node to which blocks of a device may be moved when the device is
 *     drained; none if they stay. Needs {@code reclaim}, as the capability of that name does in the
 *     kernel's proposal of private nodes (G. Price, linux-mm, 20 July 2026)
 * @param evict whether they may be moved there also to make room for a request that finds the
 *     device full: so its holders may use more than the device has, as J. Hubbard asked for
 *     (linux-mm, 14 March 2017). Needs a demotion target, and a device of 2 MiB or more. See {@link
 *     DeviceNode} for which blocks give way
 * @param longTermPin whether blocks may be pinned on the node
 * @param spillCeilingBytes the most of system memory in which blocks of a device's holders may lie
 *     together, spilled or demoted, whatever their budgets add up to; {@link #UNLIMITED}, and 0 for
 *     a system node, which has nowhere to spill
 */
public record NodeAttributes(
    boolean reclaim,
    OptionalInt demotionTarget,
    boolean evict,
    boolean longTermPin,
    long spillCeilingBytes) {
  /** Stands for a ceiling that was not set: what is spilled is bounded by the budgets alone. */
  public static final long UNLIMITED = Long.MAX_VALUE;

  /** The default of system nodes. */
  public static final NodeAttributes SYSTEM =
      new NodeAttributes(true, OptionalInt.empty(), false, true, 0);

  /**
   * The default of device nodes. Without reclaim, as the patches of 2017 had no kswapd on such
   * nodes: to ask for more than the device has is a choice, not a default.
   */
  public static final NodeAttributes COHERENT_DEVICE =
      new NodeAttributes(false, OptionalInt.empty(), false, true, UNLIMITED);

  /**
   * Makes a set of attributes.
   *
   * @param reclaim as {@link #reclaim()}
   * @param demotionTarget as {@link #demotionTarget()}
   * @param evict as {@link #evict()}
   * @param longTermPin as {@link #longTermPin()}
   * @param spillCeilingBytes as {@link #spillCeilingBytes()}
   * @throws NullPointerException if {@code demotionTarget} is null
   * @throws IllegalArgumentException if there is a demotion target without reclaim, eviction
   *     without a demotion target, or a ceiling below 0; whether the target fits the machine is
   *     checked when the allocator is opened
   */
  public NodeAttributes {
    Objects.requireNonNull(demotionTarget, "demotionTarget");
    if (demotionTarget.isPresent() && !reclaim) {
      throw new IllegalArgumentException(
          "demotion without reclaim: demotionTarget="
              + demotionTarget.getAsInt()
              + ", reclaim=false; call withReclaim(true) first, or leave the target out");
    }
    if (evict && demotionTarget.isEmpty()) {
      throw new IllegalArgumentException(
          "eviction without a place to go: evict=true, demotionTarget=none; call"
              + " withDemotionTarget(node) first, or withEvict(false)");
    }
    if (spillCeilingBytes < 0) {
      throw new IllegalArgumentException(
          "spill ceiling is negative: spillCeilingBytes="
              + spillCeilingBytes
              + "; give 0 or more, or NodeAttributes.UNLIMITED");
    }
  }

  /**
   * Returns the same attributes but for {@link #reclaim()}.
   *
   * @param reclaim whether the node's shrinkers may be called
   * @return a changed copy
   * @throws IllegalArgumentException if there is a demotion target and {@code reclaim} is false
   */
  public NodeAttributes withReclaim(boolean reclaim) {
    return new NodeAttributes(reclaim, demotionTarget, evict, longTermPin, spillCeilingBytes);
  }

  /**
   * Returns the same attributes but for {@link #demotionTarget()}.
   *
   * @param node a system node
   * @return a changed copy
   * @throws IllegalArgumentException if {@link #reclaim()} is false
   */
  public NodeAttributes withDemotionTarget(int node) {
    return new NodeAttributes(reclaim, OptionalInt.of(node), evict, longTermPin, spillCeilingBytes);
  }

  /**
   * Returns the same attributes without a demotion target.
   *
   * @return a changed copy
   * @throws IllegalArgumentException if {@link #evict()} is true
   */
  public NodeAttributes withoutDemotionTarget() {
    return new NodeAttributes(reclaim, OptionalInt.empty(), evict, longTermPin, spillCeilingBytes);
  }

  /**
   * Returns the same attributes but for {@link #evict()}.
   *
   * @param evict whether blocks give way when the device is full
   * @return a changed copy
   * @throws IllegalArgumentException if {@code evict} is true and there is no demotion target
   */
  public NodeAttributes withEvict(boolean evict) {
    return new NodeAttributes(reclaim, demotionTarget, evict, longTermPin, spillCeilingBytes);
  }

  /**
   * Returns the same attributes but for {@link #longTermPin()}.
   *
   * @param longTermPin whether blocks may be pinned on the node
   * @return a changed copy
   */
  public NodeAttributes withLongTermPin(boolean longTermPin) {
    return new NodeAttributes(reclaim, demotionTarget, evict, longTermPin, spillCeilingBytes);
  }

  /**
   * Returns the same attributes but for {@link #spillCeilingBytes()}.
   *
   * @param bytes 0 or more, or {@link #UNLIMITED}
   * @return a changed copy
   * @throws IllegalArgumentException if {@code bytes} is negative
   */
  public NodeAttributes withSpillCeiling(long bytes) {
    return new NodeAttributes(reclaim, demotionTarget, evict, longTermPin, bytes);
  }
}
