/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.topology;

import java.util.BitSet;
import java.util.stream.IntStream;

/**
 * An immutable set of CPU numbers, 0 to {@value #MAX_CPUS} exclusive: the kernel's {@code cpumask}.
 * Safe for use by any number of threads.
 */
public final class CpuMask {
  /** The first CPU number that no kernel uses: above every architecture's largest NR_CPUS. */
  public static final int MAX_CPUS = 1 << 16;

  /** The set without members. */
  public static final CpuMask EMPTY = new CpuMask(new BitSet());

  private final BitSet members;

  private CpuMask(BitSet members) {
    this.members = members;
  }

  /**
   * Reads the kernel's list syntax, as in {@code /sys/devices/system/node/node0/cpulist}: {@code
   * 0-3,8}.
   *
   * @param list the list; empty or blank for no CPUs
   * @return the set
   * @throws IllegalArgumentException if the text is not such a list or names a CPU outside 0 …
   *     {@value #MAX_CPUS} − 1
   */
  public static CpuMask parse(String list) {
    return new CpuMask(KernelList.parse(list, MAX_CPUS, "CPU"));
  }

  /**
   * Tells whether a CPU is a member.
   *
   * @param cpu any number; one that cannot be a CPU is not a member
   * @return true if it is
   */
  public boolean contains(int cpu) {
    return cpu >= 0 && members.get(cpu);
  }

  /**
   * Tells whether two sets share a member.
   *
   * @param other the other set
   * @return true if they do
   */
  public boolean intersects(CpuMask other) {
    return members.intersects(other.members);
  }

  /**
   * Returns the number of members.
   *
   * @return 0 … {@value #MAX_CPUS}
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
   * Returns the members.
   *
   * @return their numbers, ascending
   */
  public IntStream stream() {
    return members.stream();
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof CpuMask mask && mask.members.equals(members);
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
}
