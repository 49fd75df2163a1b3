/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.topology;

import java.nio.file.Path;
import java.util.Objects;

/**
 * Thrown when a sysfs tree or the text of {@code numactl --hardware} does not describe a machine.
 * The message names file, line and what was expected there.
 */
public final class TopologyFormatException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final transient Path file;

  /** From 1; 0 where the whole file is meant. */
  private final int line;

  /**
   * Makes the exception.
   *
   * @param file the file that cannot be read as it should
   * @param line the line, from 1, or 0 where the whole file is meant
   * @param what what is wrong there, with {@code name=value} pairs
   */
  public TopologyFormatException(Path file, int line, String what) {
    super(name(file) + (line > 0 ? ":" + line : "") + ": " + Objects.requireNonNull(what, "what"));
    this.file = file;
    this.line = line;
  }

  /**
   * Makes the exception, with what was thrown on the way.
   *
   * @param file the file that cannot be read as it should
   * @param line the line, from 1, or 0 where the whole file is meant
   * @param what what is wrong there, with {@code name=value} pairs
   * @param cause the failed read, or the refusal of a value
   */
  public TopologyFormatException(Path file, int line, String what, Throwable cause) {
    this(file, line, what);
    initCause(Objects.requireNonNull(cause, "cause"));
  }

  private static String name(Path file) {
    String name = file.toString();
    return name.isEmpty() ? "(empty name)" : name;
  }

  /**
   * Returns the file.
   *
   * @return its path; null after deserialisation
   */
  public Path file() {
    return file;
  }

  /**
   * Returns the line.
   *
   * @return from 1; 0 where the whole file is meant
   */
  public int line() {
    return line;
  }
}
