/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.address;

import java.nio.ByteBuffer;
import java.util.List;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Region;

/**
 * Where the bytes of a region lie: offset to address and back. A region has one base address per
 * {@link MemorySource#ROOT_BYTES}; those of a contiguous region follow each other. Immutable.
 */
public final class RegionAddresses {
  private static final int ROOT_SHIFT = Long.numberOfTrailingZeros(MemorySource.ROOT_BYTES);
  private static final long ROOT_MASK = MemorySource.ROOT_BYTES - 1;

  private final long[] bases;
  private final long bytes;

  private RegionAddresses(long[] bases, long bytes) {
    this.bases = bases;
    this.bytes = bytes;
  }

  /**
   * Works out a region's addresses.
   *
   * @param region the region
   * @param source asked for the addresses of root buffers where the JVM does not tell them
   * @return the addresses
   */
  public static RegionAddresses of(Region region, MemorySource source) {
    List<ByteBuffer> roots = region.roots();
    long[] bases = new long[(int) ((region.bytes() + ROOT_MASK) >>> ROOT_SHIFT)];
    for (int i = 0; i < bases.length; i++) {
      bases[i] =
          region.address() != 0
              ? region.address() + ((long) i << ROOT_SHIFT)
              : address(roots.get(i), source);
    }
    return new RegionAddresses(bases, region.bytes());
  }

  /**
   * Returns the address of any direct buffer's index 0.
   *
   * @param buffer the buffer
   * @param source asked where the JVM does not tell
   * @return the address
   */
  public static long address(ByteBuffer buffer, MemorySource source) {
    long address = BufferAddress.of(buffer);
    return address == BufferAddress.UNKNOWN ? source.addressOf(buffer) : address;
  }

  /**
   * Tells whether the whole region is one run of addresses.
   *
   * @return false if it is mapped in pieces
   */
  public boolean isContiguous() {
    for (int i = 1; i < bases.length; i++) {
      if (bases[i] != bases[i - 1] + MemorySource.ROOT_BYTES) {
        return false;
      }
    }
    return true;
  }

  /**
   * Returns the address of an offset.
   *
   * @param offset in bytes, in the region
   * @return the address
   */
  public long address(long offset) {
    return bases[(int) (offset >>> ROOT_SHIFT)] + (offset & ROOT_MASK);
  }

  /**
   * Returns the number of pieces.
   *
   * @return at least 1
   */
  public int pieces() {
    return bases.length;
  }

  /**
   * Returns the offset of a piece.
   *
   * @param piece from 0
   * @return bytes
   */
  public long pieceOffset(int piece) {
    return (long) piece << ROOT_SHIFT;
  }

  /**
   * Returns the length of a piece.
   *
   * @param piece from 0
   * @return bytes
   */
  public long pieceBytes(int piece) {
    return Math.min(MemorySource.ROOT_BYTES, bytes - pieceOffset(piece));
  }
}
