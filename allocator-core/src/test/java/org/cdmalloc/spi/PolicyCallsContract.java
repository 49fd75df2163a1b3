/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/**
 * What the memory policy calls answer, row by row of the tables in {@code
 * src/test/resources/kernel}: a test per row, for the kernel of a host with any nodes and for an
 * emulated one. The rows were measured, but for those of {@code full-nodes.txt}; {@code
 * docs/kernel-truth.md} shows them.
 *
 * <p>Only the calling thread's policy and fresh memory of 8 pages are touched, and both are put
 * back after each row. What depends on the host is expected as the host is: node numbers that its
 * kernel cannot hold are EINVAL, MOVE_ALL without CAP_SYS_NICE is EPERM. A kernel whose release is
 * older than that of a row may answer as the row says all the same: distributions backport.
 */
public abstract class PolicyCallsContract {
  /** The tables that hold on any machine. */
  static final List<String> TABLES =
      List.of(
          "set_mempolicy.txt",
          "mbind.txt",
          "mbind-populated.txt",
          "mbind-ranges.txt",
          "masks.txt",
          "home-node.txt",
          "get_mempolicy.txt",
          "move_pages.txt",
          "madvise.txt",
          "mlock.txt");

  /**
   * Gives the kernel under test.
   *
   * @return its calls; asked for once per test factory
   */
  protected abstract PolicyCalls calls();

  /**
   * Names the tables that hold here.
   *
   * @return files of {@code src/test/resources/kernel}; those of any machine unless overridden
   */
  protected List<String> tables() {
    return TABLES;
  }

  /**
   * Tells which nodes the numbers in the tables stand for.
   *
   * @return the nodes of numbers that are not their own; empty unless overridden
   */
  protected Map<Integer, Integer> numbers() {
    return Map.of();
  }

  /**
   * Does what a table asks for beyond the calls, on machines that can.
   *
   * @param verb what
   * @param arguments its arguments
   * @return {@code ok}
   */
  protected String more(String verb, List<String> arguments) {
    throw new IllegalArgumentException("no such call: " + verb + " " + arguments);
  }

  @TestFactory
  final Stream<DynamicTest> everyRowIsAnsweredAsMeasured() {
    PolicyCalls calls = calls();
    PolicyScript script = new PolicyScript(calls, this::more, numbers());
    return tables().stream().map(PolicyTable::read).flatMap(table -> tests(table, calls, script));
  }

  private static Stream<DynamicTest> tests(
      PolicyTable table, PolicyCalls calls, PolicyScript script) {
    return table.rows().stream()
        .filter(row -> !row.expected(calls.release()).isEmpty())
        .filter(row -> !TABLES.contains(table.file()) || script.fits(row))
        .map(
            row -> {
              Set<String> expected = expected(row, calls, script);
              return DynamicTest.dynamicTest(
                  table.file()
                      + ":"
                      + row.line()
                      + " "
                      + row.calls()
                      + " = "
                      + String.join(", or where it was backported ", expected),
                  () -> check(row, expected, calls, script));
            });
  }

  /** Returns the answer of the kernel's release, and that of later ones where they differ. */
  private static Set<String> expected(PolicyTable.Row row, PolicyCalls calls, PolicyScript script) {
    if (script.namesNodesBeyondTheKernel(row)) {
      return Set.of("EINVAL");
    }
    if (script.needsMoreRights(row)) {
      return Set.of("EPERM");
    }
    Set<String> expected = new LinkedHashSet<>();
    expected.add(row.expected(calls.release()));
    expected.add(row.result());
    return expected;
  }

  private static void check(
      PolicyTable.Row row, Set<String> expected, PolicyCalls calls, PolicyScript script) {
    try {
      String answer = script.run(row);
      assertTrue(
          expected.contains(answer),
          () -> row.calls() + ": expected=" + expected + ", answer=" + answer);
    } finally {
      calls.setMempolicy(0, null, 0);
    }
  }
}
