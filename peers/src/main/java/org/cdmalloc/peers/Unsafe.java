/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.reflect.Field;
import java.nio.ByteBuffer;

/**
 * What the JDK itself allocates off the heap. {@code sun.misc.Unsafe} is called through constant
 * method handles, which compile to the same code: its name alone is a warning of the compiler that
 * no source can silence.
 */
final class Unsafe {
  private static final MethodHandle ALLOCATE = handle("allocateMemory", long.class, long.class);
  private static final MethodHandle FREE = handle("freeMemory", void.class, long.class);
  private static final MethodHandle CLEAN = handle("invokeCleaner", void.class, ByteBuffer.class);

  private Unsafe() {}

  private static MethodHandle handle(String name, Class<?> result, Class<?> argument) {
    try {
      Class<?> type = Class.forName("sun.misc.Unsafe");
      Field instance = type.getDeclaredField("theUnsafe");
      instance.setAccessible(true);
      return MethodHandles.lookup()
          .findVirtual(type, name, MethodType.methodType(result, argument))
          .bindTo(instance.get(null));
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException("sun.misc.Unsafe." + name + ": " + e.getMessage(), e);
    }
  }

  /** {@code allocateMemory} and {@code freeMemory}. */
  static final class Addresses extends AddressPeer {
    @Override
    long allocate(int bytes) {
      try {
        return (long) ALLOCATE.invokeExact((long) bytes);
      } catch (Throwable e) {
        throw Rethrown.of(e);
      }
    }

    @Override
    void free(long address) {
      try {
        FREE.invokeExact(address);
      } catch (Throwable e) {
        throw Rethrown.of(e);
      }
    }
  }

  /** {@code ByteBuffer.allocateDirect}, freed by hand and not by the garbage collector. */
  static final class DirectBuffers extends HandlePeer<ByteBuffer> {
    @Override
    ByteBuffer allocate(int bytes) {
      return ByteBuffer.allocateDirect(bytes);
    }

    @Override
    void free(ByteBuffer buffer) {
      try {
        CLEAN.invokeExact(buffer);
      } catch (Throwable e) {
        throw Rethrown.of(e);
      }
    }
  }
}
