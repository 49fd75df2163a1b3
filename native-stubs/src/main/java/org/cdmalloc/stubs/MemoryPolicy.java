/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import java.util.Locale;
import org.cdmalloc.topology.NodeMask;

/**
 * A memory policy as the kernel keeps it: {@code struct mempolicy} of mm/mempolicy.c. Immutable;
 * two equal policies on neighbouring ranges make one mapping.
 *
 * @param mode what the policy does
 * @param flags the mode flags that it was given, {@code MPOL_F_STATIC_NODES} and its like
 * @param wanted the nodes that the caller named
 * @param nodes those of them that it uses: the ones with memory, the first only for PREFERRED, and
 *     for relative nodes the ones that the numbers stand for
 * @param home where the search for memory begins, or {@link #NO_HOME}
 */
record MemoryPolicy(Mode mode, int flags, NodeMask wanted, NodeMask nodes, int home) {
  /** No home node: the search begins at the CPU's node. */
  static final int NO_HOME = -1;

  /** No policy of its own: the next wider scope decides. */
  static final MemoryPolicy DEFAULT =
      new MemoryPolicy(Mode.DEFAULT, 0, NodeMask.EMPTY, NodeMask.EMPTY, NO_HOME);

  /** What a policy does. */
  enum Mode {
    /** Nothing: a range asks its thread's policy, a thread allocates on its CPU's node. */
    DEFAULT(0),
    /** One node first, then the others in the order of its list. */
    PREFERRED(1),
    /** These nodes, nearest first, and no other: when they are full, the process is killed. */
    BIND(2),
    /** Page by page over the nodes; where one is full, the others in the order of its list. */
    INTERLEAVE(3),
    /** The CPU's node first, then the others in the order of its list. */
    LOCAL(4),
    /** These nodes, nearest first; then, in a second pass, any. */
    PREFERRED_MANY(5),
    /** As INTERLEAVE, some pages more for the nodes of more weight. */
    WEIGHTED_INTERLEAVE(6);

    private final int number;

    Mode(int number) {
      this.number = number;
    }

    /** Returns the kernel's number. */
    int number() {
      return number;
    }
  }

  /**
   * Makes the policy that a caller asks for: {@code mpol_new} and {@code mpol_set_nodemask}.
   *
   * @param modeAndFlags passed {@link #requireKnown}
   * @param wanted the nodes that the caller named
   * @param withMemory the nodes that it may have
   * @throws ErrnoException EINVAL where mode, flags and nodes do not go together
   */
  static MemoryPolicy of(int modeAndFlags, NodeMask wanted, NodeMask withMemory)
      throws ErrnoException {
    Mode mode = mode(modeAndFlags);
    int flags = modeAndFlags & Uapi.MPOL_MODE_FLAGS;
    boolean absolute = (flags & (Uapi.MPOL_F_STATIC_NODES | Uapi.MPOL_F_RELATIVE_NODES)) == 0;
    if (mode == Mode.DEFAULT) {
      // The flags are forgotten, not refused.
      require(wanted.isEmpty());
      return DEFAULT;
    }
    if (wanted.isEmpty()) {
      // PREFERRED without a node is how LOCAL was spelt before it had a name.
      require(absolute && (mode == Mode.LOCAL || mode == Mode.PREFERRED));
      return new MemoryPolicy(Mode.LOCAL, flags, wanted, wanted, NO_HOME);
    }
    require(mode != Mode.LOCAL);
    NodeMask nodes =
        (flags & Uapi.MPOL_F_RELATIVE_NODES) != 0
            ? relative(wanted, withMemory)
            : wanted.and(withMemory);
    require(!nodes.isEmpty());
    return new MemoryPolicy(
        mode,
        flags,
        flags == 0 ? nodes : wanted,
        mode == Mode.PREFERRED ? NodeMask.of(nodes.first()) : nodes,
        NO_HOME);
  }

  /**
   * Refuses modes and flags that are none: {@code sanitize_mpol_flags}, the first check of all.
   *
   * @throws ErrnoException EINVAL
   */
  static void requireKnown(int modeAndFlags) throws ErrnoException {
    Mode mode = mode(modeAndFlags);
    boolean fixed = (modeAndFlags & Uapi.MPOL_F_STATIC_NODES) != 0;
    boolean relative = (modeAndFlags & Uapi.MPOL_F_RELATIVE_NODES) != 0;
    require(!(fixed && relative));
    boolean balancing = (modeAndFlags & Uapi.MPOL_F_NUMA_BALANCING) != 0;
    require(!balancing || mode == Mode.BIND || mode == Mode.PREFERRED_MANY);
  }

  /** Returns the same policy with a home node. */
  MemoryPolicy withHome(int node) {
    return new MemoryPolicy(mode, flags, wanted, nodes, node);
  }

  /** Tells whether there is no policy in this scope. */
  boolean isDefault() {
    return mode == Mode.DEFAULT;
  }

  /** Returns mode and flags as get_mempolicy(2) tells them. */
  int modeAndFlags() {
    return mode.number() | flags;
  }

  /** Returns the nodes as get_mempolicy(2) tells them: with a mode flag, those that were named. */
  NodeMask toldNodes() {
    return flags == 0 ? nodes : wanted;
  }

  /** Prints {@code bind:0,2}. */
  @Override
  public String toString() {
    return mode.name().toLowerCase(Locale.ROOT) + ":" + nodes;
  }

  private static Mode mode(int modeAndFlags) throws ErrnoException {
    int number = modeAndFlags & ~Uapi.MPOL_MODE_FLAGS;
    for (Mode mode : Mode.values()) {
      if (mode.number() == number) {
        return mode;
      }
    }
    throw new ErrnoException(Uapi.EINVAL);
  }

  /** The n-th node with memory for each n, begun again at the first when n is too large. */
  private static NodeMask relative(NodeMask wanted, NodeMask withMemory) {
    int[] nodes = withMemory.stream().toArray();
    return NodeMask.of(wanted.stream().map(n -> nodes[n % nodes.length]).toArray());
  }

  private static void require(boolean condition) throws ErrnoException {
    if (!condition) {
      throw new ErrnoException(Uapi.EINVAL);
    }
  }
}
