/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
import java.nio.file.Path;

/** The same loops in C, compiled when this class is first used. */
final class CKernels {
  static {
    // Without the third option gcc makes memset and memcpy of two of the loops.
    Path library =
        CProgram.compiled(
            "kernels.c",
            "libkernels.so",
            "-O3",
            "-march=native",
            "-fno-tree-loop-distribute-patterns",
            "-shared",
            "-fPIC");
    Native.register(CKernels.class, NativeLibrary.getInstance(library.toString()));
  }

  private CKernels() {}

  static native long chase(long from, int loads);

  static native long read_lines(long address, long bytes);

  static native long write_words(long address, long bytes);

  static native long copy_half(long address, long bytes);

  static native double triad(long address, long bytes);
}
