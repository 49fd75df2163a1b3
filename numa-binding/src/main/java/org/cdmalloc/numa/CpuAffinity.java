/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import java.util.BitSet;
import java.util.Optional;
import java.util.stream.Collectors;
import org.cdmalloc.NativeCallException;
import org.cdmalloc.topology.CpuMask;

/**
 * On which CPUs the calling thread may run: sched_setaffinity(2). For programs that measure; an
 * allocator pins nobody. A virtual thread has no affinity of its own: what it sets is its
 * carrier's. Stateless, safe for use by any number of threads.
 */
public final class CpuAffinity {
  private static final int MASK_BYTES = CpuMask.MAX_CPUS / Byte.SIZE;
  private static final int CALLER = 0;

  private CpuAffinity() {}

  /**
   * Says why threads cannot be pinned in this process.
   *
   * @return the reason and what to do, or nothing where they can
   */
  public static Optional<String> whyNot() {
    if (!System.getProperty("os.name").equals("Linux")) {
      return Optional.of("this is not Linux: os.name=" + System.getProperty("os.name"));
    }
    return JnaFault.ofThisProcess();
  }

  /**
   * Returns the CPUs on which the calling thread may run: those that are online and that a cpuset,
   * taskset(1) or a container leaves it.
   *
   * @return at least one
   * @throws NativeCallException if the kernel refuses to say, as a seccomp filter may make it
   */
  public static CpuMask get() {
    try (Memory mask = new Memory(MASK_BYTES)) {
      mask.clear();
      if (LibC.sched_getaffinity(CALLER, MASK_BYTES, Pointer.nativeValue(mask)) < 0) {
        throw Errno.failed("sched_getaffinity", Errno.last(), "pid=0");
      }
      BitSet cpus = BitSet.valueOf(mask.getByteArray(0, MASK_BYTES));
      return CpuMask.parse(
          cpus.stream().mapToObj(Integer::toString).collect(Collectors.joining(",")));
    }
  }

  /**
   * Lets the calling thread run on some CPUs only, from when this returns.
   *
   * @param cpus those; such as are offline or not allowed are left out
   * @throws IllegalArgumentException if there are none
   * @throws NativeCallException if the kernel refuses: EINVAL where the thread may run on none of
   *     them, EPERM where a filter forbids the call; then nothing changed
   */
  public static void set(CpuMask cpus) {
    if (cpus.isEmpty()) {
      throw new IllegalArgumentException("no CPUs: name one at least");
    }
    BitSet bits = new BitSet();
    cpus.stream().forEach(bits::set);
    byte[] bytes = bits.toByteArray();
    try (Memory mask = new Memory(MASK_BYTES)) {
      mask.clear();
      mask.write(0, bytes, 0, bytes.length);
      if (LibC.sched_setaffinity(CALLER, MASK_BYTES, Pointer.nativeValue(mask)) != 0) {
        throw Errno.failed("sched_setaffinity", Errno.last(), "pid=0, cpus=" + cpus);
      }
    }
  }
}
