/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Limits that a shell sets or that another library uses up, in child processes and from files. */
final class LimitTest {
  private static final long MIB = 1L << 20;

  /** Four times what the kernel gives by default. */
  private static final int MOST_MAPPINGS = 262_144;

  @TempDir private Path self;

  private static String run(String shell, String... arguments) throws Exception {
    try (ProbeProcess child = ProbeProcess.start(shell, arguments)) {
      assertEquals(0, child.await(), child::toString);
      String text = child.toString();
      assertTrue(text.endsWith("done\n"), text);
      return text;
    }
  }

  private static void assertHolds(String text, String part) {
    assertTrue(text.contains(part), text);
  }

  @Test
  void tooLittleAddressSpaceIsAnExceptionAndLessOfItWorks() throws Exception {
    String text = run("ulimit -v 2500000", "address-space");
    assertHolds(text, "refused: mmap failed: errno=ENOMEM (12), bytes=");
    assertHolds(text, ", limit_bytes=2560000000, used_bytes=");
    assertHolds(text, ", margin_bytes=268435456 (lower capacity(node, bytes), or raise ulimit -v)");
    assertHolds(text, "opened: bytes=");
    text = run("ulimit -d 1000000", "address-space");
    assertHolds(text, "or raise ulimit -d)");
    assertHolds(text, "opened: bytes=");
  }

  @Test
  void noMemoryNeedsToBeLocked() throws Exception {
    assertHolds(run("ulimit -l 0", "locked"), "locked_bytes=0\n");
  }

  @Test
  void aProcessThatLocksWhatItMapsGetsNoMemoryItDidNotAskFor() throws Exception {
    ThisHost.assumeMayLock();
    String text = run("true", "locks-what-it-maps", "256");
    assertHolds(text, "filled: bytes=26");
    assertHolds(text, "region: mappings=1\n");
  }

  @Test
  void aLockBeyondTheLimitIsAValueWithTheFigures() throws Exception {
    ThisHost.assumeMayLock();
    String unprivileged = " && set -- setpriv --bounding-set=-ipc_lock \"$@\"";
    String text = run("ulimit -l 64" + unprivileged, "lock");
    String lifts =
        "; raise \"ulimit -l\" (LimitMEMLOCK= of systemd, --ulimit memlock= of a container) or give"
            + " CAP_IPC_LOCK\n";
    assertHolds(
        text, "refused: memlock_limit_bytes=65536, locked_bytes=0, wanted_bytes=131072" + lifts);
    assertHolds(text, "locked: locked_bytes=65536\n");
    assertHolds(
        text, "refused: memlock_limit_bytes=65536, locked_bytes=65536, wanted_bytes=65536" + lifts);
    assertHolds(text, "still locked: locked_bytes=65536\nreleased: locked_bytes=0\n");
    assertHolds(
        run("ulimit -l 0" + unprivileged, "lock"),
        "refused: memlock_limit_bytes=0, locked_bytes=0, wanted_bytes=131072" + lifts);
    // The right to lock stands above the limit.
    assertHolds(run("ulimit -l 64", "lock"), "locked: locked_bytes=131072\n");
  }

  @Test
  void aPinBeyondTheLimitIsAnExceptionThatNamesIt() throws Exception {
    ThisHost.assumeMayLock();
    String text = run("ulimit -l 64 && set -- setpriv --bounding-set=-ipc_lock \"$@\"", "pin");
    String refused =
        "memlock_limit_bytes=65536, locked_bytes=0, wanted_bytes=131072; raise \"ulimit -l\"";
    assertTrue(text.split(Pattern.quote(refused), -1).length == 3, text);
    assertHolds(text, "moved_in_bytes=0\nused_bytes=0\n");
    assertHolds(text, "pinned: locked_bytes=65536, in_place=true\nclosed: locked_bytes=0\ndone");
  }

  @Test
  void noMoreToLockIsAnExceptionThatNamesTheLimit() throws Exception {
    ThisHost.assumeMayLock();
    String text =
        run("set -- setpriv --bounding-set=-ipc_lock \"$@\"", "locks-what-it-maps", "16384");
    assertHolds(text, "refused: mmap failed: errno=EAGAIN (11), bytes=");
    assertHolds(text, " (this process locks what it maps, mlockall(2): ");
  }

  @Test
  void whatWasLockedBehindTheAllocatorsBackIsGivenBackAllTheSame() throws Exception {
    ThisHost.assumeMayLock();
    String text = run("true", "locks-what-it-has");
    assertHolds(
        text, "purged: present=0\nregion: mappings=1\nreleased: present=0\nwindow: present=");
    assertHolds(text, "window: present=" + (2 * MIB) / ThisHost.KERNEL.pageBytes() + "\n");
  }

  @Test
  void nearTheEndOfTheMappingsTheRestIsLeftToTheJvm() throws Exception {
    long most = KeyedText.of(Path.of("/proc/sys/vm/max_map_count")).single();
    assumeTrue(most <= MOST_MAPPINGS, () -> "to fill the table takes long: max_map_count=" + most);
    String text = run("true", "mappings", "300");
    assertHolds(text, "purged=2000, absent=2000, ");
    assertHolds(text, "pass=2: recommitted=2000, ");
    assertHolds(text, "lock refused: mappings=");
    assertHolds(text, "second allocator refused: mmap failed: errno=ENOMEM (12), bytes=8388608, ");
    assertHolds(text, "content intact\nreleased, present=0\nworks again, ");
  }

  private AddressSpaceLimit limit(String space, String data) throws IOException {
    Files.writeString(
        self.resolve("limits"),
        "Limit                     Soft Limit           Hard Limit           Units     \n"
            + "Max data size             "
            + data
            + "            unlimited            bytes     \n"
            + "Max address space         "
            + space
            + "            unlimited            bytes     \n");
    Files.writeString(
        self.resolve("status"), "VmPeak:\t 4096 kB\nVmSize:\t 2048 kB\nVmData:\t 1024 kB\n");
    return AddressSpaceLimit.read(self);
  }

  @Test
  void theTighterLimitOfAddressSpaceCounts() throws IOException {
    assertEquals(Long.MAX_VALUE, limit("unlimited", "unlimited").spareBytes());
    assertEquals(42 * MIB, limit(Long.toString(300 * MIB), "unlimited").spareBytes());
    assertEquals(42 * MIB, limit(Long.toString(300 * MIB), Long.toString(300 * MIB)).spareBytes());
    AddressSpaceLimit data = limit(Long.toString(300 * MIB), Long.toString(298 * MIB));
    assertEquals("ulimit -d", data.name());
    assertEquals(41 * MIB, data.spareBytes());
    Files.delete(self.resolve("limits"));
    assertEquals(Long.MAX_VALUE, AddressSpaceLimit.read(self).spareBytes());
  }
}
