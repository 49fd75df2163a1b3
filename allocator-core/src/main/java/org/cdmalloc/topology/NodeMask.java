/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.topology;

import java.util.Arrays;
import java.util.BitSet;
import java.util.stream.IntStream;

/**
 * An immutable set of NUMA node numbers, 0 to {@value #MAX_NODES} exclusive: the kernel's {@code
 * nodemask_t}. Safe for use by any number of threads.
 */
public final class NodeMask {
  /** The first node number that no kernel uses: 1 &lt;&lt; 10, the largest CONFIG_NODES_SHIFT. */
  public static final int MAX_NODES = 1024;

  /** The set without members. */
  public static final NodeMask EMPTY = new NodeMask(new BitSet());

  private final BitSet members;

  private NodeMask(BitSet members) {
    this.members = members;
  }

  /**
   * Returns the set of the given nodes; naming one twice makes no difference.
   *
   * @param nodes node numbers
   * @return the set
   * @throws IllegalArgumentException if a number is outside 0 … {@value #MAX_NODES} − 1
   */
  public static NodeMask of(int... nodes) {
    BitSet members = new BitSet();
    for (int node : nodes) {
      members.set(requireNode(node));
    }
    return new NodeMask(members);
  }

  /**
   * Reads the kernel's list syntax, as in {@code /sys/devices/system/node/online}: {@code 0-3,8}.
   *
   * @param list the list; empty or blank for no nodes
   * @return the set
   * @throws IllegalArgumentException if the text is not such a list or names a node outside 0 …
   *     {@value #MAX_NODES} − 1
   */
  public static NodeMask parse(String list) {
    return new NodeMask(KernelList.parse(list, MAX_NODES, "node"));
  }

  /**
   * Tells whether a node is a member.
   *
   * @param node any number; one that cannot be a node is not a member
   * @return true if it is
   */
  public boolean contains(int node) {
    return node >= 0 && members.get(node);
  }

  /**
   * Tells whether every member of another set is a member of this one.
   *
   * @param other the other set
   * @return true if so; always for the empty set
   */
  public boolean containsAll(NodeMask other) {
    return other.without(this).isEmpty();
  }

  /**
   * Returns the members of either set.
   *
   * @param other the other set
   * @return the union
   */
  public NodeMask or(NodeMask other) {
    BitSet union = (BitSet) members.clone();
    union.or(other.members);
    return new NodeMask(union);
  }

  /**
   * Returns the members of both sets.
   *
   * @param other the other set
   * @return the intersection
   */
  public NodeMask and(NodeMask other) {
    BitSet intersection = (BitSet) members.clone();
    intersection.and(other.members);
    return new NodeMask(intersection);
  }

  /**
   * Returns the members of this set that are not in another.
   *
   * @param other the other set
   * @return the difference
   */
  public NodeMask without(NodeMask other) {
    BitSet difference = (BitSet) members.clone();
    difference.andNot(other.members);
    return new NodeMask(difference);
  }

  /**
   * Returns the number of members.
   *
   * @return 0 … {@value #MAX_NODES}
   */
  public int size() {
    return members.cardinality();
  }

  /**
   * Tells whether there are no members.
   *
   * @return true if so
   */
  public boolean isEmpty() {
    return members.isEmpty();
  }

  /**
   * Returns the lowest member.
   *
   * @return its number, or −1 if the set is empty
   */
  public int first() {
    return members.nextSetBit(0);
  }

  /**
   * Returns the highest member.
   *
   * @return its number, or −1 if the set is empty
   */
  public int last() {
    return members.length() - 1;
  }

  /**
   * Returns the members.
   *
   * @return their numbers, ascending
   */
  public IntStream stream() {
    return members.stream();
  }

  /**
   * Returns the mask in words of 64 bits, node 0 in the lowest bit of the first: what the memory
   * policy calls take (set_mempolicy(2)).
   *
   * @param words how many words
   * @return a new array of that length
   * @throws IllegalArgumentException if a member does not fit
   */
  public long[] toWords(int words) {
    if (last() >= (long) words * Long.SIZE) {
      throw new IllegalArgumentException(
          "mask does not fit: last=" + last() + ", words=" + words + "; ask for more words");
    }
    return Arrays.copyOf(members.toLongArray(), words);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof NodeMask mask && mask.members.equals(members);
  }

  @Override
  public int hashCode() {
    return members.hashCode();
  }

  /** Prints the kernel's list syntax, {@code 0-3,8}; the empty set prints nothing. */
  @Override
  public String toString() {
    return KernelList.format(members);
  }

  /**
   * Returns a node number if it can be one.
   *
   * @param node the number
   * @return the same number
   * @throws IllegalArgumentException if it is outside 0 … {@value #MAX_NODES} − 1
   */
  static int requireNode(int node) {
    if (node < 0 || node >= MAX_NODES) {
      throw new IllegalArgumentException(
          "not a node number: node=" + node + ", limit=" + MAX_NODES);
    }
    return node;
  }
}
