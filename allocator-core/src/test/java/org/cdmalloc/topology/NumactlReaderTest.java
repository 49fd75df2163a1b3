/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.topology;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class NumactlReaderTest {
  private static final long MIB = 1L << 20;

  private static final String NODES =
      """
      available: 3 nodes (0-1,255)
      node 0 cpus: 0 1 64
      node 0 size: 2048 MB
      node 0 free: 1024 MB
      node 1 cpus: 2 3
      node 1 size: 0 MB
      node 1 free: 0 MB
      node 255 cpus:
      node 255 size: 256 MB
      node 255 free: 255 MB
      """;

  private static final String DISTANCES =
      """
      node distances:
      node   0   1 255\040
        0:  10  20  80\040
        1:  21  10 100\040
      255:  80 100  10\040
      """;

  private static final String TEXT = NODES + DISTANCES;

  @TempDir Path temporary;
  private Path file;

  @BeforeEach
  void nameAFile() {
    file = temporary.resolve("numactl.txt");
  }

  private Machine read(String text) {
    try {
      Files.writeString(file, text, StandardCharsets.ISO_8859_1);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
    return Machine.fromNumactl(file);
  }

  private TopologyFormatException refusal(String text, int line) {
    TopologyFormatException refusal =
        assertThrows(TopologyFormatException.class, () -> read(text), text);
    assertEquals(file, refusal.file());
    assertEquals(line, refusal.line(), refusal.getMessage());
    assertTrue(refusal.getMessage().startsWith(file + (line > 0 ? ":" + line : "") + ": "));
    assertTrue(refusal.getMessage().length() < 500, refusal.getMessage());
    return refusal;
  }

  @Test
  void theTextReadsAsAMachine() {
    Machine machine = read(TEXT);
    assertEquals(Node.of(0, "0-1,64", 2048 * MIB), machine.node(0));
    assertEquals(Node.of(1, "2-3", 0), machine.node(1));
    assertEquals(Node.memoryOnly(255, 256 * MIB), machine.node(255));
    assertEquals(
        DistanceMatrix.of(
            NodeMask.of(0, 1, 255), new int[][] {{10, 20, 80}, {21, 10, 100}, {80, 100, 10}}),
        machine.distances());
  }

  @Test
  void lineEndsBlankLinesAndBlanksMakeNoDifference() {
    Machine machine = read(TEXT);
    assertEquals(machine, read(TEXT.replace("\n", "\r\n")));
    assertEquals(machine, read("\n\n" + TEXT.replace("\n", " \t\n \n") + "\n \r\n"));
    assertEquals(machine, read(TEXT.stripTrailing()));
    assertEquals(machine, read(TEXT.replace(": ", ":\t ").replace("\n", "\n  ")));
  }

  @Test
  void widerColumnsAndCompressedCpusOfNewerReleasesRead() {
    String newer =
        TEXT.replace("0 1 64", "0-1 64 (3)")
            .replace("2 3", "2-3 (2)")
            .replace("255 cpus:", "255 cpus: (0)");
    assertEquals(read(TEXT), read(newer));
  }

  @Test
  void missingDistancesAreUniform() {
    DistanceMatrix uniform = DistanceMatrix.uniform(NodeMask.of(0, 1, 255));
    assertEquals(uniform, read(NODES + "No distance information available.\n").distances());
    assertEquals(uniform, read(NODES).distances());
  }

  @Test
  void freeMemoryThatIsNotKnownMakesNoDifference() {
    Machine machine = read(TEXT);
    assertEquals(machine, read(TEXT.replace("free: 255 MB", "free: <not available>")));
    assertEquals(machine, read(TEXT.replace("node 1 free: 0 MB\n", "")));
  }

  @Test
  void aSizeThatIsNotKnownIsNone() {
    assertEquals(Node.of(0, "0-1,64", 0), read(TEXT.replace("2048 MB", "<not available>")).node(0));
  }

  @Test
  void asManyNodesAsThereCanBeRead() {
    StringBuilder text = new StringBuilder("available: 1024 nodes (0-1023)\n");
    StringBuilder row = new StringBuilder();
    for (int node = 0; node < NodeMask.MAX_NODES; node++) {
      text.append("node ").append(node).append(" cpus:");
      for (int cpu = 0; cpu < 64; cpu++) {
        text.append(' ').append(64 * node + cpu);
      }
      text.append("\nnode ").append(node).append(" size: 4194304 MB\n");
      text.append("node ").append(node).append(" free: 4194304 MB\n");
      row.append("    ").append(node % 2 == 0 ? 10 : 254);
    }
    text.append("node distances:\nnode");
    for (int node = 0; node < NodeMask.MAX_NODES; node++) {
      text.append("   ").append(node);
    }
    for (int node = 0; node < NodeMask.MAX_NODES; node++) {
      text.append('\n').append(node).append(':').append(row);
    }
    Machine machine = read(text.toString());
    assertEquals(NodeMask.MAX_NODES, machine.nodes().size());
    assertEquals("65472-65535", machine.node(1023).cpus().toString());
    assertEquals(254, machine.distances().between(1022, 1023));
  }

  @Test
  void aHostWithoutNumaIsRefusedInItsOwnWords() {
    assertTrue(
        refusal("No NUMA available on this system\n", 1).getMessage().contains("CONFIG_NUMA"));
    refusal("\nNo NUMA support available on this system.\n", 2);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "1  | available: 3 nodes (0-1,255) | available: 2 nodes (0-1,255)",
        "1  | available: 3 nodes (0-1,255) | available: 4 nodes (0-2,255)",
        "1  | available: 3 nodes (0-1,255) | available: 3 nodes (0-1,1024)",
        "1  | available: 3 nodes (0-1,255) | available: 0 nodes ()",
        "1  | available: 3 nodes (0-1,255) | available: 3 nodes 0-1,255",
        "1  | available: 3 nodes (0-1,255) | available: 99999999999999999999 nodes (0)",
        "1  | available: 3 nodes (0-1,255) | policy: default",
        "2  | node 0 cpus                  | node 2 cpus",
        "2  | node 0 cpus                  | node 1024 cpus",
        "2  | node 0 cpus                  | node 99999999999999999999 cpus",
        "2  | node 0 cpus                  | node -1 cpus",
        "2  | node 0 cpus                  | node 0 CPUs",
        "2  | node 0 cpus: 0 1             | node 0 cpus: 0 x",
        "2  | node 0 cpus: 0 1             | node 0 cpus: 0,1",
        "2  | node 0 cpus: 0 1             | node 0 cpus: 0 65536",
        "2  | node 0 cpus: 0 1             | node 0 cpus: 0 -1",
        "2  | node 0 cpus: 0 1 64          | node 0 cpus: 0 1 64 (2)",
        "2  | node 0 cpus: 0 1 64          | node 0 cpus: 0 1 64 (3) 65",
        "5  | node 1 cpus: 2 3             | node 1 cpus: 1 2",
        "5  | node 1 cpus: 2 3             | node 0 cpus: 2 3",
        "3  | size: 2048 MB                | size: 2048 GB",
        "3  | size: 2048 MB                | size: 2048 kB",
        "3  | size: 2048 MB                | size: 2048",
        "3  | size: 2048 MB                | size: -1 MB",
        "3  | size: 2048 MB                | size: 1.5 MB",
        "3  | size: 2048 MB                | size: 4294967297 MB",
        "3  | size: 2048 MB                | size: 17592186044415 MB",
        "3  | size: 2048 MB                | size: 99999999999999999999 MB",
        "3  | size: 2048 MB                | size: <not known>",
        "3  | size: 2048 MB                | size:",
        "2  | 'node 0 size: 2048 MB\n'     | ''",
        "6  | 'node 1 cpus: 2 3\n'         | 'node 1 size: 0 MB\n'",
        "4  | free: 1024 MB                | free: some",
        "7  | node 1 free                  | node 1 size",
        "11 | node distances:              | node distance:",
        "12 | node   0   1 255             | node   0   1",
        "12 | node   0   1 255             | node   0   1   2",
        "12 | node   0   1 255             | node   1   0 255",
        "13 | node   0   1 255             | ''",
        "13 | '0:  10'                     | '0:  -10'",
        "13 | '0:  10'                     | '0:  0'",
        "13 | '0:  10'                     | '0:  256'",
        "13 | '0:  10'                     | '0:  1e1'",
        "13 | '0:  10'                     | '0:'",
        "13 | '0:  10'                     | '0:  10 10'",
        "14 | '  1:  21  10 100 \n'        | ''",
        "13 | '  0:  10'                   | '  2:  10'",
        "14 | '  1:  21'                   | '  0:  21'",
        "15 | '255:  80 100  10 \n'        | '255:  80 100'",
        "16 | '255:  80 100  10 \n'        | '255:  80 100  10\n256: 10 10 10\n'",
      })
  void aMalformedLineIsNamed(int line, String valid, String malformed) {
    assertTrue(TEXT.contains(valid), valid);
    String text = TEXT.replaceFirst(Pattern.quote(valid), malformed);
    TopologyFormatException refusal =
        assertThrows(TopologyFormatException.class, () -> read(text), text);
    assertEquals(line, refusal.line(), refusal.getMessage());
    assertEquals(file, refusal.file());
  }

  @Test
  void aTextThatEndsEarlyIsRefusedUnlessOnlyDistancesAreMissing() {
    int accepted = 0;
    for (int end = 0; end < TEXT.length(); end++) {
      try {
        read(TEXT.substring(0, end));
        accepted++;
      } catch (TopologyFormatException refused) {
        assertEquals(file, refused.file());
      }
    }
    // Ends that lose nothing: the last node's free line taken away or whole, the last row's blanks.
    int withoutFree = 2;
    int wholeFree = 2;
    int lastRow = 4;
    assertTrue(accepted <= withoutFree + wholeFree + lastRow, "accepted=" + accepted);
  }

  @Test
  void anEmptyFileIsRefused() {
    refusal("", 0);
    refusal("\n\n", 2);
  }

  @Test
  void bytesThatAreNoTextAreRefused() throws IOException {
    Files.write(file, new byte[] {(byte) 0xc3, (byte) 0x28, (byte) 0xff, 0, 7, 27});
    TopologyFormatException refusal =
        assertThrows(TopologyFormatException.class, () -> Machine.fromNumactl(file));
    assertEquals(1, refusal.line());
    assertTrue(refusal.getMessage().chars().noneMatch(Character::isISOControl));
  }

  @Test
  void aFileThatCannotBeReadIsRefusedWithItsCause() {
    for (Path unreadable : new Path[] {temporary, temporary.resolve("missing")}) {
      TopologyFormatException refusal =
          assertThrows(TopologyFormatException.class, () -> Machine.fromNumactl(unreadable));
      assertEquals(unreadable, refusal.file());
      assertEquals(0, refusal.line());
      assertInstanceOf(IOException.class, refusal.getCause());
      assertFalse(refusal.getMessage().contains("java."), refusal.getMessage());
    }
    assertThrows(NullPointerException.class, () -> Machine.fromNumactl(null));
  }
}
