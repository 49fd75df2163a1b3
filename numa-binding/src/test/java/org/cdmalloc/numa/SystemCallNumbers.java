/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** An architecture's system calls by name, as the kernel's headers have them. */
record SystemCallNumbers(String architecture, Map<String, Integer> byName) {
  private static final String RESOURCE = "/system-calls.txt";

  static SystemCallNumbers ofThisHost() {
    String wanted = System.getProperty("os.arch");
    return all().stream()
        .filter(numbers -> numbers.architecture().equals(wanted))
        .findFirst()
        .orElseThrow(() -> new AssertionError(RESOURCE + " has no os.arch=" + wanted));
  }

  static List<SystemCallNumbers> all() {
    List<String> names = List.of();
    List<SystemCallNumbers> all = new ArrayList<>();
    for (String line : lines()) {
      if (line.startsWith("# architecture ")) {
        names = List.of(line.substring(2).split(" ", -1));
      } else if (!line.startsWith("#")) {
        String[] values = line.split(" ", -1);
        Map<String, Integer> byName = new LinkedHashMap<>();
        for (int i = 1; i < values.length; i++) {
          byName.put(names.get(i), Integer.decode(values[i]));
        }
        all.add(new SystemCallNumbers(values[0], byName));
      }
    }
    return all;
  }

  int of(String name) {
    return byName.get(name);
  }

  private static List<String> lines() {
    try (InputStream in = SystemCallNumbers.class.getResourceAsStream(RESOURCE)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8).lines().toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
