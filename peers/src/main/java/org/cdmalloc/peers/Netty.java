/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import io.netty.buffer.AdaptiveByteBufAllocator;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.PooledByteBufAllocator;

/** Netty's pools, with caches for every thread. Best on threads of {@link FastThreads}. */
final class Netty {
  private Netty() {}

  /** The pool with arenas, Netty's default up to 4.1. */
  static ByteBufs pooled() {
    return new ByteBufs(
        new PooledByteBufAllocator(
            true,
            PooledByteBufAllocator.defaultNumHeapArena(),
            PooledByteBufAllocator.defaultNumDirectArena(),
            PooledByteBufAllocator.defaultPageSize(),
            PooledByteBufAllocator.defaultMaxOrder(),
            PooledByteBufAllocator.defaultSmallCacheSize(),
            PooledByteBufAllocator.defaultNormalCacheSize(),
            true));
  }

  /** The pool that adapts to the sizes asked for, Netty's default since 4.2. */
  static ByteBufs adaptive() {
    return new ByteBufs(new AdaptiveByteBufAllocator(true, true));
  }

  /** Direct buffers of a pool. */
  static final class ByteBufs extends HandlePeer<ByteBuf> {
    private final ByteBufAllocator pool;

    ByteBufs(ByteBufAllocator pool) {
      this.pool = pool;
    }

    @Override
    ByteBuf allocate(int bytes) {
      return pool.directBuffer(bytes);
    }

    @Override
    void free(ByteBuf buffer) {
      buffer.release();
    }
  }
}
