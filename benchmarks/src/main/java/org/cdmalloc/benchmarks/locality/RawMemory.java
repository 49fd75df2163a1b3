/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.invoke.VarHandle;
import java.lang.reflect.Array;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.util.List;

/**
 * Loads and stores at absolute addresses, each of which compiles to the one instruction that C has
 * for it: a bounded view costs a cycle of address arithmetic more, a fifth of a load from the first
 * cache. From JDK 22 on through the segment that spans all memory, before through {@code
 * sun.misc.Unsafe}, of which JDK 24 and later warn (JEP 498). Both are found by name and called
 * through constant method handles, so that one class file serves all JDKs.
 *
 * <p>An address that is not mapped ends the JVM. Only the blocks that are measured are touched.
 */
final class RawMemory {
  private static final int FIRST_WITH_SEGMENTS = 22;

  private static final boolean SEGMENTS = Runtime.version().feature() >= FIRST_WITH_SEGMENTS;

  private static final MethodHandle GET_LONG;
  private static final MethodHandle PUT_LONG;
  private static final MethodHandle GET_DOUBLE;
  private static final MethodHandle PUT_DOUBLE;
  private static final MethodHandle GET_VOLATILE;
  private static final MethodHandle PUT_VOLATILE;
  private static final MethodHandle COPY;

  static {
    try {
      List<MethodHandle> all = SEGMENTS ? ofSegments() : ofUnsafe();
      GET_LONG = all.get(0);
      PUT_LONG = all.get(1);
      GET_DOUBLE = all.get(2);
      PUT_DOUBLE = all.get(3);
      GET_VOLATILE = all.get(4);
      PUT_VOLATILE = all.get(5);
      COPY = all.get(6);
    } catch (ReflectiveOperationException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  private RawMemory() {}

  /** Returns how memory is accessed, for the report. */
  static String form() {
    return SEGMENTS
        ? "absolute addresses through java.lang.foreign"
        : "absolute addresses through sun.misc.Unsafe";
  }

  private static List<MethodHandle> ofSegments() throws ReflectiveOperationException {
    Class<?> segment = Class.forName("java.lang.foreign.MemorySegment");
    Class<?> layout = Class.forName("java.lang.foreign.MemoryLayout");
    Class<?> values = Class.forName("java.lang.foreign.ValueLayout");
    Class<?> path = Class.forName("java.lang.foreign.MemoryLayout$PathElement");
    Object everything =
        segment
            .getMethod("reinterpret", long.class)
            .invoke(segment.getField("NULL").get(null), Long.MAX_VALUE);
    Object none = Array.newInstance(path, 0);
    Method handleOf = layout.getMethod("varHandle", none.getClass());
    VarHandle longs =
        (VarHandle) handleOf.invoke(values.getField("JAVA_LONG_UNALIGNED").get(null), none);
    VarHandle doubles =
        (VarHandle) handleOf.invoke(values.getField("JAVA_DOUBLE_UNALIGNED").get(null), none);
    VarHandle aligned = (VarHandle) handleOf.invoke(values.getField("JAVA_LONG").get(null), none);
    MethodHandle copy =
        MethodHandles.publicLookup()
            .findStatic(
                segment,
                "copy",
                MethodType.methodType(
                    void.class, segment, long.class, segment, long.class, long.class));
    copy = MethodHandles.insertArguments(copy, 2, everything);
    return List.of(
        in(everything, longs, VarHandle.AccessMode.GET),
        in(everything, longs, VarHandle.AccessMode.SET),
        in(everything, doubles, VarHandle.AccessMode.GET),
        in(everything, doubles, VarHandle.AccessMode.SET),
        in(everything, aligned, VarHandle.AccessMode.GET_VOLATILE),
        in(everything, aligned, VarHandle.AccessMode.SET_VOLATILE),
        MethodHandles.insertArguments(copy, 0, everything));
  }

  private static MethodHandle in(Object segment, VarHandle handle, VarHandle.AccessMode mode) {
    return MethodHandles.insertArguments(handle.toMethodHandle(mode), 0, segment);
  }

  private static List<MethodHandle> ofUnsafe() throws ReflectiveOperationException {
    Class<?> type = Class.forName("sun.misc.Unsafe");
    Field instance = type.getDeclaredField("theUnsafe");
    instance.setAccessible(true);
    Object unsafe = instance.get(null);
    return List.of(
        of(unsafe, "getLong", long.class, long.class),
        of(unsafe, "putLong", void.class, long.class, long.class),
        of(unsafe, "getDouble", double.class, long.class),
        of(unsafe, "putDouble", void.class, long.class, double.class),
        absolute(of(unsafe, "getLongVolatile", long.class, Object.class, long.class)),
        absolute(of(unsafe, "putLongVolatile", void.class, Object.class, long.class, long.class)),
        of(unsafe, "copyMemory", void.class, long.class, long.class, long.class));
  }

  private static MethodHandle of(Object unsafe, String name, Class<?> result, Class<?>... arguments)
      throws ReflectiveOperationException {
    return MethodHandles.lookup()
        .findVirtual(unsafe.getClass(), name, MethodType.methodType(result, arguments))
        .bindTo(unsafe);
  }

  /** Of an access that takes an object and an offset, that without an object. */
  private static MethodHandle absolute(MethodHandle access) {
    return MethodHandles.insertArguments(access, 0, (Object) null);
  }

  static long getLong(long address) {
    try {
      return (long) GET_LONG.invokeExact(address);
    } catch (Throwable e) {
      throw broken(e);
    }
  }

  static void putLong(long address, long value) {
    try {
      PUT_LONG.invokeExact(address, value);
    } catch (Throwable e) {
      throw broken(e);
    }
  }

  static double getDouble(long address) {
    try {
      return (double) GET_DOUBLE.invokeExact(address);
    } catch (Throwable e) {
      throw broken(e);
    }
  }

  static void putDouble(long address, double value) {
    try {
      PUT_DOUBLE.invokeExact(address, value);
    } catch (Throwable e) {
      throw broken(e);
    }
  }

  static long getVolatile(long address) {
    try {
      return (long) GET_VOLATILE.invokeExact(address);
    } catch (Throwable e) {
      throw broken(e);
    }
  }

  static void putVolatile(long address, long value) {
    try {
      PUT_VOLATILE.invokeExact(address, value);
    } catch (Throwable e) {
      throw broken(e);
    }
  }

  /** Copies a range to another one, which does not overlap. */
  static void copy(long from, long to, long bytes) {
    try {
      COPY.invokeExact(from, to, bytes);
    } catch (Throwable e) {
      throw broken(e);
    }
  }

  private static IllegalStateException broken(Throwable cause) {
    return new IllegalStateException("memory cannot be accessed by address: " + cause, cause);
  }
}
