/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.address;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.reflect.Field;
import java.nio.Buffer;
import java.nio.ByteBuffer;

/**
 * The address of a direct buffer's index 0: the one door between ByteBuffers and addresses.
 *
 * <p>JDK 22 and later are asked through {@code MemorySegment.ofBuffer}, older ones through {@code
 * sun.misc.Unsafe}, which is silent there; both by name and method handle, so that one class file
 * serves all and the newer JDKs never load Unsafe. A JVM that offers neither leaves the question to
 * the memory source.
 */
public final class BufferAddress {
  /** Stands for an address that this JVM will not tell. */
  public static final long UNKNOWN = 0;

  private static final int FOREIGN_MEMORY_FEATURE = 22;

  /** (ByteBuffer)long: the address of the buffer's index 0, or null. */
  private static final MethodHandle ADDRESS = find();

  private BufferAddress() {}

  /**
   * Returns the address of a buffer's index 0, whatever its position, limit and order.
   *
   * @param buffer a direct buffer
   * @return the address, or {@link #UNKNOWN}
   * @throws IllegalArgumentException if the buffer is on the Java heap
   */
  public static long of(ByteBuffer buffer) {
    if (!buffer.isDirect()) {
      throw new IllegalArgumentException(
          "buffer is on the Java heap: capacity="
              + buffer.capacity()
              + "; free what was allocated here");
    }
    if (ADDRESS == null) {
      return UNKNOWN;
    }
    try {
      return (long) ADDRESS.invokeExact(buffer);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException("the JVM does not tell a direct buffer's address", e);
    }
  }

  private static MethodHandle find() {
    try {
      return Runtime.version().feature() >= FOREIGN_MEMORY_FEATURE ? bySegment() : byUnsafe();
    } catch (ReflectiveOperationException e) {
      return null;
    }
  }

  private static MethodHandle bySegment() throws ReflectiveOperationException {
    Class<?> segment = Class.forName("java.lang.foreign.MemorySegment");
    MethodHandles.Lookup lookup = MethodHandles.publicLookup();
    MethodHandle ofBuffer =
        lookup.findStatic(segment, "ofBuffer", MethodType.methodType(segment, Buffer.class));
    MethodHandle address =
        lookup.findVirtual(segment, "address", MethodType.methodType(long.class));
    MethodHandle ofPosition = MethodHandles.filterReturnValue(ofBuffer, address);
    MethodHandle minus =
        MethodHandles.lookup()
            .findStatic(
                BufferAddress.class,
                "minusPosition",
                MethodType.methodType(long.class, long.class, ByteBuffer.class));
    return MethodHandles.foldArguments(
        minus, ofPosition.asType(MethodType.methodType(long.class, ByteBuffer.class)));
  }

  @SuppressWarnings("UnusedMethod") // found by name, above
  private static long minusPosition(long address, ByteBuffer buffer) {
    return address - buffer.position();
  }

  private static MethodHandle byUnsafe() throws ReflectiveOperationException {
    Class<?> unsafeClass = Class.forName("sun.misc.Unsafe");
    Field theUnsafe = unsafeClass.getDeclaredField("theUnsafe");
    theUnsafe.setAccessible(true);
    Object unsafe = theUnsafe.get(null);
    long offset =
        (long)
            unsafeClass
                .getMethod("objectFieldOffset", Field.class)
                .invoke(unsafe, Buffer.class.getDeclaredField("address"));
    MethodHandle getLong =
        MethodHandles.publicLookup()
            .findVirtual(
                unsafeClass,
                "getLong",
                MethodType.methodType(long.class, Object.class, long.class));
    return MethodHandles.insertArguments(getLong.bindTo(unsafe), 1, offset)
        .asType(MethodType.methodType(long.class, ByteBuffer.class));
  }
}
