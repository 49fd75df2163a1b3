/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.nio.ByteBuffer;
import java.util.function.Consumer;
import java.util.function.IntFunction;
import java.util.function.LongBinaryOperator;
import java.util.function.LongConsumer;
import java.util.function.LongUnaryOperator;

/**
 * What all objects have in common through which blocks are taken and given back, so that one test
 * can say the same of each.
 */
record Door(
    String name,
    LongUnaryOperator allocate,
    LongBinaryOperator aligned,
    LongUnaryOperator tryAllocate,
    IntFunction<ByteBuffer> buffer,
    IntFunction<ByteBuffer> uninitialized,
    IntFunction<ByteBuffer> tryBuffer,
    LongConsumer freeAddress,
    Consumer<ByteBuffer> freeBuffer) {

  static Door of(String name, SystemMemory memory) {
    return new Door(
        name,
        memory::allocate,
        memory::allocate,
        memory::tryAllocate,
        memory::allocateBuffer,
        memory::allocateBufferUninitialized,
        memory::tryAllocateBuffer,
        memory::free,
        memory::free);
  }

  static Door of(String name, NodeArena arena) {
    return new Door(
        name,
        arena::allocate,
        arena::allocate,
        arena::tryAllocate,
        arena::allocateBuffer,
        arena::allocateBufferUninitialized,
        arena::tryAllocateBuffer,
        arena::free,
        arena::free);
  }

  static Door of(String name, DeviceNode device) {
    return new Door(
        name,
        device::allocate,
        device::allocate,
        device::tryAllocate,
        device::allocateBuffer,
        device::allocateBufferUninitialized,
        device::tryAllocateBuffer,
        device::free,
        device::free);
  }

  long allocate(long bytes) {
    return allocate.applyAsLong(bytes);
  }

  long allocate(long bytes, long alignment) {
    return aligned.applyAsLong(bytes, alignment);
  }

  void free(long address) {
    freeAddress.accept(address);
  }

  void free(ByteBuffer block) {
    freeBuffer.accept(block);
  }

  @Override
  public String toString() {
    return name;
  }
}
