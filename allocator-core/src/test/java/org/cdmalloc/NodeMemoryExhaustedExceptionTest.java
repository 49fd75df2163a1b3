/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import org.cdmalloc.NodeMemoryExhaustedException.Attempt;
import org.cdmalloc.NodeMemoryExhaustedException.Reason;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class NodeMemoryExhaustedExceptionTest {
  private static final long MEBIBYTE = 1 << 20;
  private static final String BIND = Placement.bind(NodeMask.of(0, 1)).toString();
  private static final String LIMIT =
      "LIMIT_REACHED cgroup=/sys/fs/cgroup/memory.max, limit_bytes=314572800 (raise this limit)";

  /** A node of 64 MiB with 6 pages free, of which the largest block has 4. */
  private static Attempt attempt(int node, Reason reason, String detail) {
    return new Attempt(
        node,
        reason,
        8 * 4096,
        64 * MEBIBYTE,
        6 * 4096,
        80 * 4096,
        new Marks(64 * 4096, 80 * 4096, 96 * 4096),
        List.of(2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        1000,
        417,
        123456,
        detail);
  }

  private static String message(String placement, Attempt... attempts) {
    return new NodeMemoryExhaustedException(30000, placement, List.of(attempts)).getMessage();
  }

  @Test
  void theMessageSaysWhatWasAskedWhyEachNodeRefusedAndWhatToDo() {
    assertEquals(
        "no memory for the request: bytes=30000, placement=bind 0-1"
            + "; node=0: would fall below its low mark, wanted_bytes=32768, free_bytes=24576,"
            + " must_stay_free_bytes=327680, capacity_bytes=67108864"
            + "; node=1: memory refused: "
            + LIMIT
            + ", free_bytes=24576, capacity_bytes=67108864, kernel_free_bytes=123456"
            + "; free blocks, raise capacity(node, bytes), raise or relieve what the refusal"
            + " names, or name more nodes",
        message(BIND, attempt(0, Reason.LOW_MARK, ""), attempt(1, Reason.MEMORY_REFUSED, LIMIT)));
  }

  @Test
  void aFragmentedNodeShowsWhatIsFree() {
    assertEquals(
        "no memory for the request: bytes=30000, placement=local"
            + "; node=0: free pages are not in one block, wanted_bytes=32768, free_bytes=24576,"
            + " largest_free_bytes=16384, unusable_index=1.000, fragmentation_index=0.417,"
            + " free_blocks_per_order=[2 0 1 0 0 0 0 0 0 0 0 0 0 0 0]"
            + "; free blocks, call trim(), or ask for smaller blocks",
        message("local", attempt(0, Reason.FRAGMENTED, "")));
  }

  @ParameterizedTest
  @EnumSource
  void everyReasonIsOneLineInWordsWithFigures(Reason reason) {
    String message = message("local", attempt(3, reason, "x=1\n  y=2\r\n"));
    assertTrue(message.contains("; node=3: " + reason.words() + ": x=1 y=2, "), message);
    assertTrue(message.contains("free_bytes=24576") || reason == Reason.TOO_LARGE, message);
    assertEquals(1, message.lines().count(), message);
    // Advice is what stands last, and every reason has some.
    assertFalse(message.substring(message.lastIndexOf("; ")).contains("node=3"), message);
  }

  @Test
  void adviceFollowsTheReasons() {
    assertAdvice("try again", BIND, Reason.CONTENDED);
    assertAdvice("free blocks, raise capacity(node, bytes), or name more nodes", BIND, Reason.FULL);
    assertAdvice(
        "free blocks, raise capacity(node, bytes), or name more nodes", BIND, Reason.LOW_MARK);
    assertAdvice(
        "free blocks, call trim(), raise capacity(node, bytes), or name more nodes",
        BIND,
        Reason.CAPACITY_HELD);
    assertAdvice(
        "free blocks, call trim(), ask for smaller blocks, or name more nodes",
        BIND,
        Reason.FRAGMENTED);
    assertAdvice(
        "raise or relieve what the refusal names, or name more nodes", BIND, Reason.MEMORY_REFUSED);
    assertAdvice(
        "try again, free blocks, or raise capacity(node, bytes)",
        "local",
        Reason.CONTENDED,
        Reason.FULL,
        Reason.CONTENDED);
  }

  @Test
  void moreNodesAreAdvisedOnlyWhereThePlacementNamesSome() {
    for (Placement placement :
        List.of(Placement.LOCAL, Placement.preferred(0), Placement.onDevice(2, ""))) {
      assertAdvice(
          "free blocks, or raise capacity(node, bytes)", placement.toString(), Reason.FULL);
    }
    for (Placement placement : List.of(Placement.onNode(0), Placement.bind(NodeMask.of(0, 1)))) {
      assertAdvice(
          "free blocks, raise capacity(node, bytes), or name more nodes",
          placement.toString(),
          Reason.FULL);
    }
  }

  @Test
  void moreCapacityIsAdvisedOnlyWhereItMakesLargerBlocks() {
    // Orders 0 to 14: the largest block is all of the 64 MiB.
    assertAdvice("ask for smaller blocks, or raise capacity(node, bytes)", BIND, Reason.TOO_LARGE);
    // The largest block of a machine whose memory comes in pieces is less than the capacity.
    Attempt pieces =
        new Attempt(0, Reason.TOO_LARGE, 9, 8192, 8192, 0, Marks.NONE, List.of(2), 0, 0, -1, "");
    assertTrue(
        message(BIND, pieces)
            .endsWith(
                "; node=0: larger than its largest block, wanted_bytes=9,"
                    + " largest_block_bytes=4096, capacity_bytes=8192; ask for smaller blocks"));
  }

  private static void assertAdvice(String advice, String placement, Reason... reasons) {
    List<Attempt> attempts = new ArrayList<>();
    for (Reason reason : reasons) {
      attempts.add(attempt(attempts.size(), reason, ""));
    }
    String message = message(placement, attempts.toArray(Attempt[]::new));
    assertEquals("; " + advice, message.substring(message.lastIndexOf("; ")));
  }

  @Test
  void ofManyNodesEightAreToldAndAllAreKept() {
    NodeMemoryExhaustedException full = many(64);
    assertTrue(full.getMessage().contains("; node=7: "), full.getMessage());
    assertFalse(full.getMessage().contains("; node=8: "), full.getMessage());
    assertTrue(full.getMessage().contains("; and 56 more nodes; free blocks"), full.getMessage());
    assertTrue(full.getMessage().length() < 4000, full.getMessage());
    assertEquals(
        IntStream.range(0, 64).boxed().toList(),
        full.attempts().stream().map(Attempt::node).toList());
    assertTrue(many(9).getMessage().contains("; and 1 more node; "));
    assertFalse(many(8).getMessage().contains("more node;"));
  }

  private static NodeMemoryExhaustedException many(int nodes) {
    List<Attempt> attempts =
        IntStream.range(0, nodes).mapToObj(node -> attempt(node, Reason.FULL, "")).toList();
    return new NodeMemoryExhaustedException(1, "local", attempts);
  }

  @Test
  void adviceIsForTheNodesThatAreNotToldToo() {
    List<Attempt> attempts = new ArrayList<>(many(8).attempts());
    attempts.add(attempt(8, Reason.FRAGMENTED, ""));
    String message = new NodeMemoryExhaustedException(1, "local", attempts).getMessage();
    assertTrue(message.contains("ask for smaller blocks"), message);
  }

  @Test
  void figuresAreFieldsAndNotOnlyText() {
    Attempt attempt = attempt(5, Reason.FRAGMENTED, "");
    assertEquals(16384, attempt.largestFreeBytes());
    assertEquals(64 * MEBIBYTE, attempt.largestBlockBytes());
    assertEquals("free pages are not in one block", attempt.why());
    Attempt bare =
        new Attempt(
            0, Reason.FULL, 1, 0, 0, 0, Marks.NONE, List.of(0, 0), 1000, 0, Attempt.UNKNOWN, "");
    assertEquals(0, bare.largestFreeBytes());
    assertEquals(8192, bare.largestBlockBytes());
    assertFalse(message("local", bare).contains("kernel_free"));
    Attempt none =
        new Attempt(
            0, Reason.MEMORY_REFUSED, 1, 0, 0, 0, Marks.NONE, List.of(), 1000, 0, -1, LIMIT);
    assertEquals(0, none.largestFreeBytes() + none.largestBlockBytes());
    assertFalse(message("local", none).contains("kernel_free"));
  }

  @Test
  void nothingIsNull() {
    assertThrows(NullPointerException.class, () -> attempt(0, null, ""));
    assertThrows(NullPointerException.class, () -> attempt(0, Reason.FULL, null));
    assertThrows(
        NullPointerException.class, () -> new NodeMemoryExhaustedException(1, "local", null));
    assertThrows(
        NullPointerException.class, () -> new NodeMemoryExhaustedException(1, null, List.of()));
  }

  @Test
  void aRequestWithoutANodeToTryGetsNoAdvice() {
    assertEquals("no memory for the request: bytes=30000, placement=local", message("local"));
  }

  @Test
  void theDigitsAreThoseOfProgramsInEveryLocale() {
    Locale before = Locale.getDefault();
    try {
      Locale.setDefault(Locale.GERMANY);
      assertTrue(
          message("local", attempt(0, Reason.FRAGMENTED, "")).contains("unusable_index=1.000"));
    } finally {
      Locale.setDefault(before);
    }
  }

  @Test
  void theMessageAndTheSizeSurviveSerialisation() throws IOException, ClassNotFoundException {
    NodeMemoryExhaustedException thrown = many(2);
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
      out.writeObject(thrown);
    }
    try (ObjectInputStream in =
        new ObjectInputStream(new ByteArrayInputStream(bytes.toByteArray()))) {
      NodeMemoryExhaustedException read = (NodeMemoryExhaustedException) in.readObject();
      assertEquals(thrown.getMessage(), read.getMessage());
      assertEquals(1, read.requestedBytes());
      assertEquals(List.of(), read.attempts());
    }
  }
}
