/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * Reads figures out of the kernel's small text files: {@code MemFree: 24468880 kB} in meminfo,
 * {@code total_inactive_file 4096} in a control group's memory.stat, a single number in memory.max.
 */
final class KeyedText {
  private static final long KIBIBYTE = 1024;

  /** More than any file that is read here has. */
  private static final int READ_BYTES = 16 << 10;

  private final String text;

  private KeyedText(String text) {
    this.text = text;
  }

  /**
   * Reads a file; one that is missing or unreadable reads as empty.
   *
   * <p>The first read must be as long as the file: the files below {@code /proc/sys} say that they
   * end when a second one begins behind their start (kernel/sysctl.c, {@code proc_dointvec}), and a
   * length of 0 makes the JDK's methods begin with a single byte.
   */
  static KeyedText of(Path file) {
    try (InputStream in = Files.newInputStream(file)) {
      byte[] bytes = new byte[READ_BYTES];
      int length = in.readNBytes(bytes, 0, bytes.length);
      return new KeyedText(new String(bytes, 0, length, StandardCharsets.ISO_8859_1));
    } catch (IOException e) {
      return new KeyedText("");
    }
  }

  /** Returns the lines of a file of any length; one that is missing or unreadable has none. */
  static List<String> lines(Path file) {
    try {
      return Files.readAllLines(file, StandardCharsets.ISO_8859_1);
    } catch (IOException e) {
      return List.of();
    }
  }

  /**
   * Returns what stands after a key and blanks, to the end of the line; nothing without the key.
   */
  String word(String key) {
    return text.lines()
        .filter(line -> line.startsWith(key))
        .map(line -> line.substring(key.length()).strip())
        .findFirst()
        .orElse("");
  }

  /**
   * Returns the number after a key and blanks, in bytes if it says kB; −1 if the key is not there.
   */
  long bytes(String key) {
    for (int at = text.indexOf(key); at >= 0; at = text.indexOf(key, at + 1)) {
      boolean starts = at == 0 || text.charAt(at - 1) == '\n' || text.charAt(at - 1) == ' ';
      int digits = at + key.length();
      if (!starts || digits >= text.length() || !isBlank(text.charAt(digits))) {
        continue;
      }
      while (digits < text.length() && isBlank(text.charAt(digits))) {
        digits++;
      }
      long value = number(digits);
      return value >= 0 && text.startsWith(" kB", end(digits)) ? value * KIBIBYTE : value;
    }
    return -1;
  }

  /** Returns the number that the whole file is; −1 if it is none, as in {@code max}. */
  long single() {
    String number = text.strip();
    return !number.isEmpty() && number.chars().allMatch(c -> c >= '0' && c <= '9') ? number(0) : -1;
  }

  boolean isEmpty() {
    return text.isEmpty();
  }

  private long number(int from) {
    int end = end(from);
    if (end == from) {
      return -1;
    }
    // Numbers beyond a long are no limit at all: v1 writes one near 2^63, other files none so
    // large.
    return end - from > 18 ? Long.MAX_VALUE : Long.parseLong(text, from, end, 10);
  }

  private int end(int from) {
    int end = from;
    while (end < text.length() && text.charAt(end) >= '0' && text.charAt(end) <= '9') {
      end++;
    }
    return end;
  }

  private static boolean isBlank(char c) {
    return c == ' ' || c == '\t';
  }
}
