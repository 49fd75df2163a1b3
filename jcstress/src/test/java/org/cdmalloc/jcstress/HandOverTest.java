/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.jcstress;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.reflect.Modifier;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.cdmalloc.internal.account.AccountStress;
import org.cdmalloc.internal.lifecycle.LoanStress;
import org.cdmalloc.internal.magazine.MagazineStress;
import org.junit.jupiter.api.Test;

/**
 * Runs jcstress, which starts JVMs of its own and writes to the folder in which it is started, and
 * reads its verdict. The option {@code jcstress.arguments} says how much it tries.
 */
final class HandOverTest {
  private static final Path FOLDER = Path.of("target", "jcstress");

  @Test
  void noHandOverShowsWhatIsForbidden() throws IOException, InterruptedException {
    String output = run();
    // Its exit status says only whether it ran.
    String verdict = output.substring(Math.max(0, output.indexOf("RUN RESULTS:")));
    long tests =
        Stream.of(LoanStress.class, AccountStress.class, MagazineStress.class)
            .flatMap(group -> Stream.of(group.getDeclaredClasses()))
            .filter(test -> !Modifier.isAbstract(test.getModifiers()))
            .count();
    assertTrue(tests > 0);
    for (String expected :
        List.of(
            "Interesting tests: No matches.",
            "Failed tests: No matches.",
            "Error tests: No matches.",
            "All remaining tests: " + tests + " matching test results.")) {
      assertTrue(verdict.contains(expected), () -> expected + "\n" + output);
    }
  }

  private static String run() throws IOException, InterruptedException {
    Files.createDirectories(FOLDER);
    Path output = FOLDER.resolve("output.txt");
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                System.getProperty("java.class.path"),
                "org.openjdk.jcstress.Main"));
    command.addAll(List.of(System.getProperty("jcstress.arguments").split(" ", -1)));
    Process jcstress =
        new ProcessBuilder(command)
            .directory(FOLDER.toFile())
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start();
    int status = jcstress.waitFor();
    String said = Files.readString(output);
    assertEquals(0, status, said);
    return said;
  }
}
