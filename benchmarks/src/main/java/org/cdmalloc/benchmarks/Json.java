/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonElement;

/**
 * How the commands print JSON: one line, unknown values as null, no escapes that HTML would need.
 */
final class Json {
  private static final Gson GSON =
      new GsonBuilder().serializeNulls().disableHtmlEscaping().create();

  private Json() {}

  /**
   * Prints a value.
   *
   * @param element the value
   * @return its line, with a line feed
   */
  static String line(JsonElement element) {
    return GSON.toJson(element) + "\n";
  }
}
