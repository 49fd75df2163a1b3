/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** What tests have in C, compiled when they need it. */
final class CProgram {
  private static final Path COMPILER = Path.of("/usr/bin/gcc");

  private CProgram() {}

  /** Tells whether there is a compiler. */
  static boolean isPossible() {
    return Files.isExecutable(COMPILER);
  }

  /**
   * Compiles a resource.
   *
   * @param resource its name
   * @param name that of the result
   * @param options for the compiler
   * @return the result, which is gone when the JVM ends
   */
  static Path compiled(String resource, String name, String... options) {
    try {
      Path folder = Files.createTempDirectory("c-program");
      Path source = folder.resolve(resource);
      Path result = folder.resolve(name);
      try (InputStream in = CProgram.class.getResourceAsStream(resource)) {
        Files.copy(in, source);
      }
      // The last one asked for is the first one deleted.
      List.of(folder, source, result).forEach(path -> path.toFile().deleteOnExit());
      List<String> command = new ArrayList<>(List.of(COMPILER.toString()));
      command.addAll(List.of(options));
      command.addAll(List.of("-o", result.toString(), source.toString()));
      Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      if (process.waitFor() != 0) {
        throw new IllegalStateException(command + ": " + said);
      }
      return result;
    } catch (IOException e) {
      throw new IllegalStateException("not compiled: " + e.getMessage(), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }
}
