/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

/**
 * Runs a kernel over memory, piece after piece and over again; a turn is a piece. What it computed
 * is kept, so that nothing is left out.
 */
final class StreamLoop implements Chunks.Loop {
  /** Long enough that its ends do not count, and many in a chunk of all memory. */
  static final int PIECE_BYTES = 192 << 10;

  private final Measure kernel;
  private final long address;
  private final long pieces;
  private long piece;
  private double sink;

  /**
   * Prepares it.
   *
   * @param kernel one of the four bandwidths
   * @param address where the memory begins
   * @param bytes its length
   * @throws IllegalArgumentException if that is less than a piece
   */
  StreamLoop(Measure kernel, long address, long bytes) {
    if (bytes < PIECE_BYTES) {
      throw new IllegalArgumentException(
          "less memory than one CPU needs: bytes="
              + bytes
              + ", wanted_bytes="
              + PIECE_BYTES
              + "; measure with fewer --threads");
    }
    this.kernel = kernel;
    this.address = address;
    this.pieces = bytes / PIECE_BYTES;
  }

  /** Returns what the measure's rule counts of a piece. */
  static long countedBytes(Measure kernel) {
    return switch (kernel) {
      case COPY -> PIECE_BYTES / 2 / (32 << 10) * (32 << 10) * 2L;
      case TRIAD -> PIECE_BYTES / 3 / Kernels.LINE_BYTES * Kernels.LINE_BYTES * 3L;
      default -> PIECE_BYTES;
    };
  }

  /**
   * Writes the number 1 everywhere: what other loops leave behind, addresses, are denormal numbers
   * to the triad, of which each takes a processor a hundred cycles.
   */
  StreamLoop prepared() {
    for (long at = 0; at < pieces * PIECE_BYTES; at += Double.BYTES) {
      RawMemory.putDouble(address + at, 1);
    }
    return this;
  }

  @Override
  public void run(int turns) {
    for (int i = 0; i < turns; i++) {
      long at = address + piece * PIECE_BYTES;
      sink +=
          switch (kernel) {
            case READ -> Kernels.read(at, PIECE_BYTES);
            case WRITE -> Kernels.write(at, PIECE_BYTES);
            case COPY -> Kernels.copy(at, PIECE_BYTES);
            case TRIAD -> Kernels.triad(at, PIECE_BYTES);
            default -> throw new IllegalStateException("no bandwidth: " + kernel);
          };
      piece = piece + 1 < pieces ? piece + 1 : 0;
    }
  }

  double sink() {
    return sink;
  }
}
