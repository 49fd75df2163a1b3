/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * A kernel that promises no more than it may, {@code vm.overcommit_memory=2}, set in a guest: 600
 * MiB in all, whatever swap there is, which is less than a node of the guest has.
 */
final class PromiseTest {
  private static final Path MODE = Path.of("/proc/sys/vm/overcommit_memory");
  private static final Path BESIDE_SWAP = Path.of("/proc/sys/vm/overcommit_kbytes");
  private static final Path OF_MEMORY = Path.of("/proc/sys/vm/overcommit_ratio");
  private static final long PROMISED_BYTES = 600L << 20;

  @BeforeEach
  void countWhatIsWritable() throws IOException {
    ThisHost.assumeGuest("it lets the kernel refuse memory to every program");
    long swapBytes = KeyedText.of(Path.of("/proc/meminfo")).bytes("SwapTotal:");
    Files.writeString(BESIDE_SWAP, Long.toString((PROMISED_BYTES - swapBytes) / 1024));
    Files.writeString(MODE, "2");
  }

  @AfterEach
  void countWhatIsUsed() throws IOException {
    if (ThisHost.isGuest()) {
      Files.writeString(MODE, "0");
      // The kernel's default, which takes the place of the other.
      Files.writeString(OF_MEMORY, "50");
    }
  }

  @Test
  void whatIsNotPromisedIsAnException() throws Exception {
    try (ProbeProcess child = ProbeProcess.start("true", "overcommit")) {
      assertEquals(0, child.await(), child::toString);
      String text = child.toString();
      assertTrue(text.contains("LIMIT_REACHED vm.overcommit_memory=2, mprotect=ENOMEM, "), text);
      assertTrue(text.contains("works again, "), text);
    }
  }
}
