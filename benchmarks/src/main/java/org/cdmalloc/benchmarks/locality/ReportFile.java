/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonElement;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.stream.Collectors;

/** Reports as files: JSON, which is read again, and CSV, for spreadsheets. */
final class ReportFile {
  private static final Gson GSON =
      new GsonBuilder().setPrettyPrinting().serializeNulls().disableHtmlEscaping().create();

  private static final String CSV_HEADER =
      "measure,unit,cpu_node,cpus,memory_node,threads,pages,huge_bytes,bytes,median,p10,p90,batches,"
          + "chunks,cpu_over_wall,traffic_gb_per_s,rest_nanos,marks\n";

  private ReportFile() {}

  /** Prints a report as JSON; docs/locality.md describes it. */
  static String json(Report report) {
    return GSON.toJson(report) + "\n";
  }

  /**
   * Reads what {@link #json} wrote.
   *
   * @param file the file
   * @throws IOException if it cannot be read
   * @throws IllegalArgumentException if it is no report, or one of a later schema
   */
  static Report read(Path file) throws IOException {
    String text = Files.readString(file);
    try {
      JsonElement tree = JsonParser.parseString(text);
      if (!tree.isJsonObject() || !tree.getAsJsonObject().has("schema")) {
        throw new IllegalArgumentException(
            "not a report of cdmalloc locality: file=" + file + "; give what --json wrote");
      }
      int schema = number(tree.getAsJsonObject().get("schema"));
      if (schema != Report.SCHEMA) {
        throw new IllegalArgumentException(
            "unknown schema: file="
                + file
                + ", schema="
                + schema
                + ", known="
                + Report.SCHEMA
                + "; use the version that wrote it, or measure again");
      }
      return GSON.fromJson(tree, Report.class);
    } catch (IllegalArgumentException e) {
      throw e;
    } catch (RuntimeException e) {
      // Whatever a parser or a constructor finds wrong with it.
      throw new IllegalArgumentException(
          "not a report of cdmalloc locality: file=" + file + ", " + e.getMessage(), e);
    }
  }

  private static int number(JsonElement element) {
    boolean isNumber = element.isJsonPrimitive() && element.getAsJsonPrimitive().isNumber();
    return isNumber ? element.getAsInt() : -1;
  }

  /** Prints the figures of a report, a line for each. */
  static String csv(Report report) {
    return CSV_HEADER
        + report.figures().stream().map(ReportFile::line).collect(Collectors.joining());
  }

  private static String line(Figure figure) {
    return String.format(
        Locale.ROOT,
        "%s,%s,%d,\"%s\",%d,%d,%s,%d,%d,%.4g,%.4g,%.4g,\"%s\",%d,%.4f,%.4g,%d,%s%n",
        figure.measure().title,
        figure.measure().unit,
        figure.cpuNode(),
        figure.cpus(),
        figure.memoryNode(),
        figure.threads(),
        figure.pages().title,
        figure.hugeBytes(),
        figure.bytes(),
        figure.median(),
        figure.low(),
        figure.high(),
        figure.batches().stream().map(Quantities::three).collect(Collectors.joining(" ")),
        figure.chunks(),
        figure.cpuOverWall(),
        figure.traffic(),
        figure.restNanos(),
        figure.marks().stream().map(Mark::name).sorted().collect(Collectors.joining(" ")));
  }
}
