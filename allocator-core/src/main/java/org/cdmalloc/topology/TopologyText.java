/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.topology;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * The text of one file that describes a machine, with a cursor over its lines, so that whatever is
 * wrong can be said by file and line. Not safe for use by several threads.
 *
 * <p>Bytes are read as ISO 8859-1, in which every byte is a character: what is not ASCII is then
 * refused where it stands, and never by a decoder. Lines are made one at a time, so that a file of
 * line ends alone costs no more than its size.
 */
final class TopologyText {
  /**
   * The largest file that is read, in bytes. The distances of 1,024 nodes take 4 MiB or 5, by the
   * width of numactl's columns; every file of sysfs takes less.
   */
  static final int MAX_BYTES = 8 << 20;

  private final Path file;
  private final String text;
  private final Iterator<String> lines;
  private String line = "";
  private int lineNumber;

  private TopologyText(Path file, String text) {
    this.file = file;
    this.text = text;
    this.lines = text.lines().iterator();
  }

  /**
   * Reads a file that must be there.
   *
   * @throws TopologyFormatException if it is not, cannot be read, or has more than {@value
   *     #MAX_BYTES} bytes
   */
  static TopologyText read(Path file) {
    try (InputStream in = Files.newInputStream(file)) {
      byte[] bytes = in.readNBytes(MAX_BYTES + 1);
      if (bytes.length > MAX_BYTES) {
        throw new TopologyFormatException(
            file, 0, "file is too large to describe a machine: limit=" + MAX_BYTES + " bytes");
      }
      return of(file, bytes);
    } catch (IOException e) {
      throw unreadable(file, e);
    }
  }

  /** Takes the bytes of a file as its text. */
  static TopologyText of(Path file, byte[] bytes) {
    return new TopologyText(file, new String(bytes, StandardCharsets.ISO_8859_1));
  }

  /**
   * Reads a file that may be absent.
   *
   * @return its text; empty if there is no such file
   * @throws TopologyFormatException as {@link #read}, but for a missing file
   */
  static Optional<TopologyText> readIfPresent(Path file) {
    try {
      return Optional.of(read(file));
    } catch (TopologyFormatException e) {
      if (e.getCause() instanceof NoSuchFileException) {
        return Optional.empty();
      }
      throw e;
    }
  }

  /** Returns all of the text without the blanks around it, for files of one line. */
  String whole() {
    lineNumber = 1;
    return text.strip();
  }

  /** Moves to the next line that is not blank; false if there is none. */
  boolean nextLine() {
    while (lines.hasNext()) {
      line = lines.next().strip();
      lineNumber++;
      if (!line.isEmpty()) {
        return true;
      }
    }
    return false;
  }

  /** Returns the current line without the blanks around it. */
  String line() {
    return line;
  }

  /** Returns the current line's number, from 1; 0 before the first. */
  int lineNumber() {
    return lineNumber;
  }

  /** Reads the whole text as a list of nodes. */
  NodeMask nodes() {
    String list = whole();
    return value(() -> NodeMask.parse(list));
  }

  /** Makes a value of what the current line says; a refusal names file and line. */
  <T> T value(Supplier<T> constructor) {
    try {
      return constructor.get();
    } catch (IllegalArgumentException e) {
      throw malformed(lineNumber, e);
    }
  }

  /**
   * Reads a number that stands in the current line.
   *
   * @param name what it is, for the message
   * @param digits decimal digits
   * @param limit the largest allowed value
   */
  long number(String name, String digits, long limit) {
    long value = KernelList.decimal(digits);
    if (value < 0) {
      throw malformed("not a number: " + name + "=" + KernelList.quoted(digits));
    }
    if (value > limit) {
      throw malformed("number is too large: " + name + "=" + value + ", limit=" + limit);
    }
    return value;
  }

  /** Reads a row of the distance matrix that stands in the current line. */
  int[] distances(String row, int nodes) {
    // The limit keeps a row that is far too long from being cut into pieces.
    String[] entries = row.strip().split("[ \t]+", nodes + 1);
    if (entries.length != nodes) {
      throw malformed(
          "distance row is not as long as there are nodes: entries="
              + (entries.length > nodes ? "more than " + nodes : entries.length)
              + ", nodes="
              + nodes);
    }
    int[] distances = new int[nodes];
    for (int i = 0; i < nodes; i++) {
      distances[i] = (int) number("distance", entries[i], DistanceMatrix.MAX);
      if (distances[i] == 0) {
        throw malformed("distance is not one of a SLIT: distance=0, range=1-" + DistanceMatrix.MAX);
      }
    }
    return distances;
  }

  /** Says what is wrong with the current line. */
  TopologyFormatException malformed(String what) {
    return new TopologyFormatException(file, lineNumber, what);
  }

  /** Says what is wrong with an earlier line. */
  TopologyFormatException malformed(int earlierLine, String what) {
    return new TopologyFormatException(file, earlierLine, what);
  }

  /** Says that a value refused what an earlier line says. */
  TopologyFormatException malformed(int earlierLine, IllegalArgumentException cause) {
    return new TopologyFormatException(file, earlierLine, cause.getMessage(), cause);
  }

  /** Says that a file or directory cannot be read. */
  static TopologyFormatException unreadable(Path file, IOException cause) {
    return new TopologyFormatException(
        file,
        0,
        "cannot be read: error=" + reason(cause) + "; check the path and its permissions",
        cause);
  }

  /** Says in words what the exceptions of java.nio.file say by their class or beside the path. */
  private static String reason(IOException cause) {
    if (cause instanceof NoSuchFileException) {
      return "no such file or directory";
    }
    if (cause instanceof AccessDeniedException) {
      return "permission denied";
    }
    if (cause instanceof FileSystemException named && named.getReason() != null) {
      return named.getReason();
    }
    return cause.getMessage();
  }
}
