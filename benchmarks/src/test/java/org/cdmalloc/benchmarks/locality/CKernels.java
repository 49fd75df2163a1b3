/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** The same loops in C, compiled when this class is first used. */
final class CKernels {
  static {
    Native.register(CKernels.class, NativeLibrary.getInstance(compiled().toString()));
  }

  private CKernels() {}

  static native long chase(long from, int loads);

  static native long read_lines(long address, long bytes);

  static native long write_words(long address, long bytes);

  static native long copy_half(long address, long bytes);

  static native double triad(long address, long bytes);

  /** Without the last option gcc makes memset and memcpy of two of the loops. */
  private static Path compiled() {
    try {
      Path folder = Files.createTempDirectory("kernels");
      Path source = folder.resolve("kernels.c");
      Path library = folder.resolve("libkernels.so");
      try (InputStream in = CKernels.class.getResourceAsStream("kernels.c")) {
        Files.copy(in, source);
      }
      List<String> command =
          List.of(
              "gcc",
              "-O3",
              "-march=native",
              "-fno-tree-loop-distribute-patterns",
              "-shared",
              "-fPIC",
              "-o",
              library.toString(),
              source.toString());
      Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      if (process.waitFor() != 0) {
        throw new IllegalStateException(command + ": " + said);
      }
      List.of(library, source, folder).forEach(path -> path.toFile().deleteOnExit());
      return library;
    } catch (IOException e) {
      throw new IllegalStateException("no C compiler: " + e.getMessage(), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }
}
