/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.stream.IntStream;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.MemorySourceProvider;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class EmulatedSourceProviderTest {
  @Test
  void isFoundAndServesEverywhereAsTheLast() {
    MemorySourceProvider provider =
        ServiceLoader.load(MemorySourceProvider.class).stream()
            .filter(found -> found.type() == EmulatedSourceProvider.class)
            .findFirst()
            .orElseThrow()
            .get();
    assertEquals("emulated", provider.name());
    assertEquals(0, provider.priority());
    assertEquals(Optional.empty(), provider.whyNot(Optional.empty()));
    assertEquals(Optional.empty(), provider.whyNot(Optional.of(Machines.oneNode())));
  }

  @Test
  void opensTheMachineThatIsWanted() {
    Machine wanted = Machines.twoSocketsAndADevice();
    assertSame(wanted, new EmulatedSourceProvider().open(Optional.of(wanted)).machine());
  }

  @Test
  void opensAMachineLikeThisHost() {
    MemorySource source = new EmulatedSourceProvider().open(Optional.empty());
    assertTrue(source.machine().origin().startsWith("emulated from "));
    assertTrue(source.limitBytes() > 0);
  }

  @Test
  void opensOneNodeWhereTheHostDoesNotTell(@TempDir Path noSysfs) {
    Machine machine = new EmulatedSourceProvider(noSysfs).open(Optional.empty()).machine();
    assertEquals("emulated from what the JVM sees", machine.origin());
    assertEquals(1, machine.nodes().size());
    Node node = machine.node(0);
    int cpus = Runtime.getRuntime().availableProcessors();
    assertEquals(cpus, node.cpus().size());
    assertTrue(IntStream.range(0, cpus).allMatch(node.cpus()::contains));
    assertTrue(node.bytes() > Runtime.getRuntime().totalMemory());
  }
}
