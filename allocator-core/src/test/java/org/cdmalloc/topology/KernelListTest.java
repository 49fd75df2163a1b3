/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.topology;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.BitSet;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class KernelListTest {
  private static final int LIMIT = 1024;

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      nullValues = "null",
      value = {
        "0           | 0",
        "0-3,8       | 0-3,8",
        "0,1,2       | 0-2",
        "8,0-3       | 0-3,8",
        "0-3,2-5     | 0-5",
        "5-5         | 5",
        "1,2,4       | 1-2,4",
        "00,007      | 0,7",
        "0 , 2 - 4   | 0,2-4",
        "0-1023      | 0-1023",
        "63,64,255   | 63-64,255",
        "'\t0-1 \n'  | 0-1",
        "''          | ''",
        "' \n'       | ''",
      })
  void listsReadAsTheKernelPrintsThem(String list, String canonical) {
    assertEquals(canonical, KernelList.format(KernelList.parse(list, LIMIT, "node")));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        ",",
        "0,",
        ",0",
        "0,,1",
        "-",
        "-1",
        "1-",
        "1--2",
        "1-2-3",
        "3-1",
        "x",
        "0x1",
        "0-3:1/2",
        "1024",
        "0-1024",
        "1e3",
        "+1",
        "0 1",
        "0;1",
        "0\n1",
        "\u0661",
        "99999999999999999999",
        "999999999999999999",
        "0-99999999999999999999",
        "all",
        "\0"
      })
  void whatIsNoListIsRefused(String list) {
    IllegalArgumentException refusal =
        assertThrows(IllegalArgumentException.class, () -> KernelList.parse(list, LIMIT, "node"));
    assertTrue(refusal.getMessage().startsWith("not a list of nodes"), refusal.getMessage());
  }

  @Test
  void everySetSurvivesPrintingAndReading() {
    long seed = Long.getLong("seed", 1);
    SplittableRandom random = new SplittableRandom(seed);
    for (int round = 0; round < 500; round++) {
      BitSet members = new BitSet();
      for (int runs = random.nextInt(20); runs > 0; runs--) {
        int first = random.nextInt(LIMIT);
        members.set(first, first + 1 + random.nextInt(LIMIT - first));
      }
      assertEquals(
          members,
          KernelList.parse(KernelList.format(members), LIMIT, "node"),
          () -> "-Dseed=" + seed);
    }
  }

  @Test
  void aListHasNoMorePartsThanThereAreNumbers() {
    assertEquals(1, KernelList.parse("7" + ",7".repeat(LIMIT - 1), LIMIT, "node").cardinality());
    assertThrows(
        IllegalArgumentException.class,
        () -> KernelList.parse("7" + ",7".repeat(LIMIT), LIMIT, "node"));
  }

  @Test
  void messagesAreShortAndPrintable() {
    String noise = "\u0007\u001b[31m" + "9".repeat(100_000);
    String message =
        assertThrows(IllegalArgumentException.class, () -> KernelList.parse(noise, LIMIT, "node"))
            .getMessage();
    assertTrue(message.length() < 200, message);
    assertFalse(message.chars().anyMatch(Character::isISOControl), message);
  }

  @ParameterizedTest
  @CsvSource({"0,0", "1024,1024", "999999999999999999,999999999999999999", "007,7"})
  void decimalReadsDigits(String digits, long value) {
    assertEquals(value, KernelList.decimal(digits));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", " ", "-1", "+1", "1 ", "1.0", "0x1", "1000000000000000000", "\u0661"})
  void decimalRefusesEverythingElse(String digits) {
    assertEquals(-1, KernelList.decimal(digits));
  }
}
