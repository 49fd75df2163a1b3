/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code cdmalloc locality compare}: what changed between two reports beyond noise. */
@Command(
    name = "compare",
    mixinStandardHelpOptions = true,
    description =
        "Says what changed between two reports beyond noise. Exit code: 0 nothing, 3 something.")
final class CompareCommand implements Callable<Integer> {
  private static final int CHANGED = 3;

  @Spec private CommandSpec spec;

  @Parameters(index = "0", paramLabel = "BEFORE", description = "What --json wrote, earlier.")
  private Path before;

  @Parameters(index = "1", paramLabel = "AFTER", description = "What --json wrote, later.")
  private Path after;

  @Override
  public Integer call() throws IOException {
    try {
      Comparison comparison = Comparison.of(ReportFile.read(before), ReportFile.read(after));
      PrintWriter out = spec.commandLine().getOut();
      out.print(comparison);
      out.flush();
      return comparison.hasChanges() ? CHANGED : 0;
    } catch (NoSuchFileException e) {
      throw new ParameterException(spec.commandLine(), "no such file: " + e.getMessage(), e);
    } catch (IllegalArgumentException e) {
      throw new ParameterException(spec.commandLine(), e.getMessage(), e);
    }
  }
}
