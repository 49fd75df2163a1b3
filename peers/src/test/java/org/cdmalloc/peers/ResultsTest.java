/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.openjdk.jmh.runner.RunnerException;
import org.w3c.dom.Document;

/** What was found becomes tables, a picture, and a part of a page. */
final class ResultsTest {
  private static final HostFacts FACTS = new HostFacts(17, "A machine, JDK 17");
  private static final Job SMALL = new Job(Work.PAIR, 1, "256");
  private static final Job LARGE = new Job(Work.PAIR, 1, "1048576");
  private static final Job CHURN = new Job(Work.CHURN, 2, Sizes.MIX);

  private static Results results() {
    Results results = new Results();
    results.add(SMALL, "nio-direct", new Sample(150, 0, 136));
    results.add(SMALL, "cdmalloc-address", new Sample(8.0, 0, 0));
    results.add(SMALL, "cdmalloc-address", new Sample(9.04, 0, 0.2));
    results.add(SMALL, "cdmalloc-address", new Sample(8.25, 0, 0));
    results.add(LARGE, "nio-direct", new Sample(21_700, 0, 136));
    results.add(CHURN, "cdmalloc-address", new Sample(40, 1200, 0, 104));
    results.add(CHURN, "cdmalloc-address", new Sample(40, 1200, 0, 131.4));
    results.leaveOut("ffm-malloc", "needs JDK 22, this is 17");
    return results;
  }

  @Test
  void tables() {
    assertEquals(
        """
        A machine, JDK 17. 3 rounds.

        ![Nanoseconds of a pair, by peer, on JDK 17](p.svg)

        Allocated and freed at once, 1 thread:

        | ns | 256 B | 1 MiB |
        | --- | ---: | ---: |
        | cdmalloc-address | 8.3 ± 0.5 | – |
        | nio-direct | 150, 136 B | 21,700, 136 B |

        Of 1,024 blocks of each thread one is freed at random and another one allocated, 2 threads:

        | ns | mix, median | mix, 99.9 % |
        | --- | ---: | ---: |
        | cdmalloc-address | 40.0 | 1,200 |

        A cache line went to the other processor and back in 104 to 131 ns, before or after, whichever was longer.

        Left out:

        - ffm-malloc: needs JDK 22, this is 17
        """,
        ResultPage.section(results(), FACTS, "3 rounds.", "p.svg"));
  }

  @Test
  void aPageKeepsWhatIsNotReplaced() {
    String page = "before\n<!-- results: JDK 17 -->\nold\n<!-- end of results: JDK 17 -->\nafter\n";
    String replaced = ResultPage.replace(page, 17, "new\n");
    assertEquals(
        "before\n<!-- results: JDK 17 -->\n\nnew\n\n<!-- end of results: JDK 17 -->\nafter\n",
        replaced);
    assertEquals(replaced, ResultPage.replace(replaced, 17, "new\n"));
    assertEquals(
        "the page has no place for results: wanted <!-- results: JDK 25 --> and"
            + " <!-- end of results: JDK 25 -->",
        assertThrows(IllegalArgumentException.class, () -> ResultPage.replace(page, 25, "new\n"))
            .getMessage());
  }

  @Test
  void thePictureIsWellFormedAndNamesWhatItShows() throws Exception {
    String picture = ResultPicture.of(results(), FACTS);
    Document document =
        DocumentBuilderFactory.newDefaultInstance()
            .newDocumentBuilder()
            .parse(new ByteArrayInputStream(picture.getBytes(StandardCharsets.UTF_8)));
    // The paper, two bars of 256 B, one of 1 MiB, one of the churn's tail.
    assertEquals(5, document.getElementsByTagName("rect").getLength());
    for (String text :
        List.of("nio-direct", "cdmalloc-address", "256 B", "1 MiB", "8.3", "21,700", "1,200")) {
      assertTrue(picture.contains(">" + text + "<"), text);
    }
    assertTrue(picture.contains("prefers-color-scheme: dark"));
  }

  @Test
  void roundsInterleaveThePeersInTurn() {
    List<String> forks = new ArrayList<>();
    List<String> said = new ArrayList<>();
    Results results = new Results();
    Rounds rounds =
        new Rounds(
            (job, peer) -> {
              if (peer.equals("unsafe")) {
                throw new RunnerException("gone");
              }
              forks.add(job.size() + " " + peer);
              return new Sample(1, 0, 0);
            },
            said::add);
    List<String> peers = List.of("nothing", "unsafe", "nio-direct");
    rounds.run(0, 2, List.of(SMALL, LARGE), peers, results);
    rounds.run(1, 2, List.of(SMALL, LARGE), peers, results);
    assertEquals(
        List.of(
            "256 nothing",
            "256 nio-direct",
            "1048576 nothing",
            "1048576 nio-direct",
            "256 nio-direct",
            "256 nothing",
            "1048576 nio-direct",
            "1048576 nothing"),
        forks);
    assertEquals("round 1 of 2: pair-1, 256 B", said.get(0));
    assertEquals("a fork failed: gone", results.leftOut().get("unsafe, pair-1, 256 B"));
    assertEquals(List.of("nio-direct", "nothing"), results.peers(List.of(SMALL, LARGE)));
  }

  @Test
  void aConfinedArenaIsNotHandedOver() {
    Results results = new Results();
    new Rounds((job, peer) -> new Sample(1, 0, 0), said -> {})
        .run(0, 1, List.of(new Job(Work.HAND_OVER, 2, "64")), List.of("ffm-arena"), results);
    assertEquals(
        "a confined arena belongs to its thread", results.leftOut().get("ffm-arena, hand-over"));
    assertTrue(results.jobs().isEmpty());
  }

  @Test
  void aForkIsRepeatedIfTheProcessorsWereFarApart() throws RunnerException {
    Iterator<Double> trips =
        List.of(100.0, 120.0, 110.0, 500.0, 130.0, 90.0, 520.0, 530.0, 500.0, 90.0).iterator();
    List<String> forks = new ArrayList<>();
    RoundTrip near =
        new RoundTrip(
            (job, peer) -> {
              forks.add(peer);
              return new Sample(forks.size(), 0, 0);
            },
            trips::next);
    assertEquals(new Sample(1, 0, 0, 120), near.of(CHURN, "a"));
    assertEquals(new Sample(2, 0, 0), near.of(SMALL, "b"));
    // Far at its end, then near.
    assertEquals(new Sample(4, 0, 0, 130), near.of(CHURN, "c"));
    // Never near: the nearer of two counts.
    assertEquals(new Sample(6, 0, 0, 500), near.of(CHURN, "d"));
    assertEquals(List.of("a", "b", "c", "c", "d", "d"), forks);
    assertFalse(trips.hasNext());
  }

  @Test
  void aRepetitionThatFailsLeavesTheFirstOne() throws RunnerException {
    Iterator<Double> trips = List.of(100.0, 100.0, 500.0, 500.0, 100.0).iterator();
    List<String> forks = new ArrayList<>();
    RoundTrip near =
        new RoundTrip(
            (job, peer) -> {
              forks.add(peer);
              if (forks.size() == 3) {
                throw new RunnerException("gone");
              }
              return new Sample(forks.size(), 0, 0);
            },
            trips::next);
    assertEquals(new Sample(1, 0, 0, 100), near.of(CHURN, "a"));
    assertEquals(new Sample(2, 0, 0, 500), near.of(CHURN, "b"));
    assertEquals(3, forks.size());
  }

  @Test
  void aCacheLineComesBack() {
    long before = System.nanoTime();
    double nanos = RoundTrip.now();
    assertTrue(System.nanoTime() - before < 5e9, "it waits for a processor");
    boolean isAlone = Runtime.getRuntime().availableProcessors() == 1;
    // From a sibling's cache to a processor that is asked for by others.
    assertTrue(isAlone ? nanos == 0 : nanos > 1 && nanos < 1e8, "nanos=" + nanos);
  }

  @Test
  void factsOfThisHostNameItsJdk() throws IOException {
    HostFacts facts = HostFacts.read();
    assertEquals(Runtime.version().feature(), facts.jdk());
    assertTrue(facts.text().contains("JDK " + Runtime.version()), facts.text());
  }
}
