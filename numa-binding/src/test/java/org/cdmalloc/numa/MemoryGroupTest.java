/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/**
 * Several processes fill one memory control group at once, until each is refused, again and again:
 * with the margin none is killed, without it one is. {@code -Dlimit.attempts} and {@code
 * -Dlimit.processes} make more of it.
 */
final class MemoryGroupTest {
  private static final int ATTEMPTS = Integer.getInteger("limit.attempts", 200);
  private static final int PROCESSES = Integer.getInteger("limit.processes", 2);
  private static final long MIB = 1L << 20;

  /** What a child needs before it has allocated anything, and what it may then have. */
  private static final long BYTES_PER_PROCESS = 110 * MIB;

  private static final int KILLED = 128 + 9;

  private static MemoryGroup group() throws IOException {
    Optional<MemoryGroup> made = MemoryGroup.make();
    ThisHost.assumeRight(made.isPresent(), "this process may not make memory control groups");
    MemoryGroup group = made.get();
    group.limit(Headroom.MARGIN_BYTES + PROCESSES * BYTES_PER_PROCESS);
    return group;
  }

  private static List<ProbeProcess> start(MemoryGroup group, String... arguments)
      throws IOException {
    List<ProbeProcess> children = new ArrayList<>();
    for (int i = 0; i < PROCESSES; i++) {
      children.add(ProbeProcess.start(group.entering(), arguments));
    }
    return children;
  }

  private static void close(List<ProbeProcess> children) throws IOException {
    for (ProbeProcess child : children) {
      child.close();
    }
  }

  private static long attempts(ProbeProcess child) {
    return child.lines().stream().filter(line -> line.startsWith("attempt=")).count();
  }

  @Test
  void withTheMarginEveryAttemptEndsInAnException() throws Exception {
    try (MemoryGroup group = group()) {
      int each = (ATTEMPTS + PROCESSES - 1) / PROCESSES;
      List<ProbeProcess> children = start(group, "cgroup", Integer.toString(each));
      try {
        String limit = "cgroup=" + group.directory() + "/memory.";
        for (ProbeProcess child : children) {
          assertEquals(0, child.await(), child::toString);
          assertEquals(each, attempts(child));
          for (String line : child.lines()) {
            boolean isAttempt = line.startsWith("attempt=");
            assertTrue(!isAttempt || line.contains(limit), line);
            assertTrue(!isAttempt || line.contains(", margin_bytes=67108864, "), line);
          }
        }
        assertEquals(0, group.kills());
      } finally {
        close(children);
      }
    }
  }

  /** Its address space is four times what it may use. */
  @Test
  void aProcessThatLocksWhatItMapsIsRefusedAndNotKilled() throws Exception {
    ThisHost.assumeMayLock();
    try (MemoryGroup group = group();
        ProbeProcess child = ProbeProcess.start(group.entering(), "locks-what-it-maps", "1024")) {
      assertEquals(0, child.await(), child::toString);
      assertTrue(child.toString().contains("LIMIT_REACHED cgroup="), child::toString);
      assertEquals(0, group.kills());
    }
  }

  @Test
  void withoutTheMarginAProcessIsKilled() throws Exception {
    try (MemoryGroup group = group()) {
      List<ProbeProcess> children = start(group, "cgroup", "200", "without-margin");
      try {
        CompletableFuture<?>[] ends =
            children.stream().map(ProbeProcess::onExit).toArray(CompletableFuture<?>[]::new);
        CompletableFuture.anyOf(ends).get(60, TimeUnit.SECONDS);
        int killed = 0;
        for (ProbeProcess child : children) {
          killed += child.hasEnded() && child.await() == KILLED ? 1 : 0;
        }
        assertTrue(killed > 0, children::toString);
        assertTrue(group.kills() >= killed, () -> "oom_kill=" + group.kills());
      } finally {
        close(children);
      }
    }
  }
}
