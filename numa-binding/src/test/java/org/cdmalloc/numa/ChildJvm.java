/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A JVM of its own for what would change or end this one: same JDK, same class path. */
final class ChildJvm {
  private static final long LIMIT_SECONDS = 120;

  /**
   * What a child left behind.
   *
   * @param exitCode its exit status; 137 if it was killed
   * @param text all that it printed
   */
  record End(int exitCode, String text) {}

  private final List<String> before = new ArrayList<>();
  private final List<String> options = new ArrayList<>();
  private String classPath =
      System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));

  /** Adds a command that shall start the JVM, such as {@code unshare --mount}. */
  ChildJvm through(String... command) {
    before.addAll(Arrays.asList(command));
    return this;
  }

  /** Adds options of the JVM. */
  ChildJvm with(String... jvmOptions) {
    options.addAll(Arrays.asList(jvmOptions));
    return this;
  }

  /** Leaves the entries of the class path out whose file names begin so. */
  ChildJvm without(String artifact) {
    classPath =
        String.join(
            ":",
            Arrays.stream(classPath.split(":", -1))
                .filter(entry -> !String.valueOf(Path.of(entry).getFileName()).startsWith(artifact))
                .toList());
    return this;
  }

  /** Returns the command that runs a class. */
  List<String> command(Class<?> main, String... arguments) {
    List<String> command = new ArrayList<>(before);
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("-Xmx64m", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8"));
    if (Runtime.version().feature() >= 24
        && options.stream().noneMatch(option -> option.contains("native-access"))) {
      command.add("--enable-native-access=ALL-UNNAMED");
    }
    command.addAll(options);
    command.addAll(List.of("-cp", classPath, main.getName()));
    command.addAll(Arrays.asList(arguments));
    return command;
  }

  /** Runs a class to its end. */
  End run(Class<?> main, String... arguments) {
    List<String> command = command(main, arguments);
    try {
      Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      process.getOutputStream().close();
      String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      if (!process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS)) {
        process.destroyForcibly();
        throw new AssertionError("child did not end: " + command + "\n" + text);
      }
      return new End(process.exitValue(), text);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError(e);
    }
  }
}
