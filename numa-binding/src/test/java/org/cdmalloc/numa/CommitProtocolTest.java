/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.cdmalloc.NativeCallException;
import org.cdmalloc.numa.ScriptedKernel.Call;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.CommitResult.Outcome;
import org.cdmalloc.spi.Region;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.topology.Machine;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the protocol does when the kernel refuses a step: on this host's kernel, scripted. */
final class CommitProtocolTest {
  private static final int NODE = ThisHost.NODE;
  private static final long CHUNK = CommitProtocol.CHUNK_BYTES;

  private final ScriptedKernel kernel = new ScriptedKernel();
  private final MappingBudget budget = new MappingBudget(1000);
  private final LinuxSource source = source(Path.of("/proc"));

  private LinuxSource source(Path proc) {
    return new LinuxSource(
        kernel, Machine.fromSysfs(Machine.SYSFS), ThisHost.capability(), budget, proc);
  }

  private Headroom roomy(Path sysfs) {
    Path proc = Path.of("/proc");
    return new Headroom(proc, sysfs, ControlGroup.find(proc, Path.of("/")), source.osPageBytes());
  }

  private void assertAbsent(Region region) {
    Residency residency = source.residency(region, 0, region.bytes());
    assertTrue(residency.isAllOn(Residency.NOT_PRESENT), residency::toString);
    assertEquals(1, budget.used());
  }

  private void assertWorks(Region region) {
    kernel.recover();
    assertTrue(source.commit(region, 0, region.bytes()).isCommitted());
    assertTrue(source.residency(region, 0, region.bytes()).isAllOn(NODE));
    source.release(region);
  }

  @Test
  void pagesThatFellElsewhereAreMovedOnceAndSaid() {
    Region region = source.reserve(NODE, CHUNK);
    kernel.failOnce(Call.BIND_STRICT, 1, Errno.EIO);
    CommitResult result = source.commit(region, 0, CHUNK);
    assertTrue(result.isCommitted());
    assertEquals("node=" + NODE + ", mbind_strict=EIO, moved_bytes=" + CHUNK, result.detail());
    assertEquals(1, kernel.calls(Call.BIND_MOVE));
    assertTrue(source.residency(region, 0, CHUNK).isAllOn(NODE));
    source.release(region);
  }

  /** As Linux does since 6.12 with pages of zeros, when it splits a huge page to move it. */
  @Test
  void pagesThatAreLostWhileTheyAreMovedComeBack() {
    Region region = source.reserve(NODE, CHUNK);
    kernel.failOnce(Call.BIND_STRICT, 1, Errno.EIO);
    kernel.loseWhatIsMoved();
    assertTrue(source.commit(region, 0, CHUNK).isCommitted());
    assertTrue(source.residency(region, 0, CHUNK).isAllOn(NODE));
    source.release(region);
  }

  @Test
  void pagesThatFallElsewhereAgainAreGivenBack() {
    Region region = source.reserve(NODE, CHUNK);
    kernel.failFrom(Call.BIND_STRICT, 1, Errno.EIO);
    assertEquals(Outcome.LOST_RACE, source.commit(region, 0, CHUNK).outcome());
    assertEquals(1, kernel.calls(Call.BIND_MOVE));
    assertAbsent(region);
    assertWorks(region);
  }

  @Test
  void pagesThatCannotBeMovedAreGivenBackAndNotTriedAgain() {
    Region region = source.reserve(NODE, CHUNK);
    kernel.failFrom(Call.BIND_STRICT, 1, Errno.EIO);
    kernel.failFrom(Call.BIND_MOVE, 1, Errno.EIO);
    assertEquals(Outcome.LOST_RACE, source.commit(region, 0, CHUNK).outcome());
    assertEquals(1, kernel.calls(Call.BIND_MOVE));
    assertAbsent(region);
    assertWorks(region);
  }

  @Test
  void aFailureAtAnyChunkGivesAllOfThemBack() {
    for (int chunk = 1; chunk <= 4; chunk++) {
      Region region = source.reserve(NODE, 4 * CHUNK);
      kernel.failFrom(Call.POPULATE, chunk, Errno.ENOMEM);
      assertEquals(Outcome.NODE_FULL, source.commit(region, 0, 4 * CHUNK).outcome());
      assertAbsent(region);
      kernel.recover();
      kernel.failFrom(Call.POPULATE, chunk, Errno.EFAULT);
      assertThrows(NativeCallException.class, () -> source.commit(region, 0, 4 * CHUNK));
      assertAbsent(region);
      kernel.recover();
      kernel.failFrom(Call.BIND_STRICT, chunk, Errno.EFAULT);
      assertThrows(NativeCallException.class, () -> source.commit(region, 0, 4 * CHUNK));
      assertAbsent(region);
      assertWorks(region);
      assertEquals(1, budget.used());
      budget.change(((LinuxRegion) region).heldMappings(), 0);
    }
  }

  /** What is free is told some time before a node may be named, and some time after. */
  @Test
  void aNodeWhoseMemoryGoesOfflineOrComesBackMeanwhileIsFull(@TempDir Path sysfs)
      throws IOException {
    Path folder = sysfs.resolve("devices/system/node/node" + NODE);
    Path meminfo = Files.createDirectories(folder).resolve("meminfo");
    Machine machine = Machine.fromSysfs(Machine.SYSFS);
    CommitProtocol protocol =
        new CommitProtocol(kernel, roomy(sysfs), ThisHost.capability(), budget, machine);
    for (long total : new long[] {0, 9999999}) {
      Files.writeString(meminfo, "Node 0 MemTotal: " + total + " kB\nNode 0 MemFree: 9999999 kB\n");
      LinuxRegion region = (LinuxRegion) source.reserve(NODE, CHUNK);
      kernel.failFrom(Call.BIND_STRICT, 1, Errno.EINVAL);
      CommitResult refused = protocol.commit(region, 0, CHUNK);
      assertEquals(Outcome.NODE_FULL, refused.outcome());
      String offline = ", present_bytes=0 (all memory of the node is offline: bring it online)";
      assertEquals(
          "node=" + NODE + ", mbind=EINVAL, wanted_bytes=" + CHUNK + (total == 0 ? offline : ""),
          refused.detail());
      assertAbsent(region);
      assertWorks(region);
      budget.change(region.heldMappings(), 0);
    }
  }

  @Test
  void whatWasCommittedBeforeAFailureKeepsItsContent() {
    Region region = source.reserve(NODE, 3 * CHUNK);
    source.commit(region, CHUNK, CHUNK);
    source.view(region, CHUNK, 8).putLong(0, 42);
    kernel.failFrom(Call.POPULATE, 2, Errno.ENOMEM);
    assertFalse(source.commit(region, 0, 3 * CHUNK).isCommitted());
    assertEquals(42, source.view(region, CHUNK, 8).getLong(0));
    assertEquals(
        (int) (CHUNK / source.osPageBytes()),
        source.residency(region, 0, 3 * CHUNK).pagesByNode().get(NODE));
    source.release(region);
  }

  @Test
  void whatAFailedPurgeLeftIsGoneBeforeItIsCommittedAgain() {
    Region region = source.reserve(NODE, 2 * CHUNK);
    source.commit(region, 0, 2 * CHUNK);
    source.view(region, 0, 8).putLong(0, 42);
    source.view(region, CHUNK, 8).putLong(0, 43);
    kernel.failFrom(Call.DONTNEED, 1, Errno.ENOMEM);
    assertThrows(NativeCallException.class, () -> source.purge(region, 0, CHUNK));
    assertThrows(NativeCallException.class, () -> source.commit(region, 0, CHUNK));
    kernel.recover();
    assertTrue(source.commit(region, 0, CHUNK).isCommitted());
    assertEquals(0, source.view(region, 0, 8).getLong(0));
    assertEquals(43, source.view(region, CHUNK, 8).getLong(0));
    // It is dropped once: what was committed since keeps its content.
    assertEquals(0, ((LinuxRegion) region).stale().coveredBytes(0, 2 * CHUNK));
    source.view(region, 0, 8).putLong(0, 44);
    assertTrue(source.commit(region, 0, 2 * CHUNK).isCommitted());
    assertEquals(44, source.view(region, 0, 8).getLong(0));
    source.release(region);
  }

  @Test
  void aChunkThatCannotBeGivenBackKeepsNoneOfTheOthers() {
    LinuxRegion region = (LinuxRegion) source.reserve(NODE, 4 * CHUNK);
    kernel.failOnce(Call.POPULATE, 4, Errno.ENOMEM);
    // The first to go is the chunk that failed, then those before it.
    kernel.failOnce(Call.DONTNEED, 2, Errno.EFAULT);
    NativeCallException failed =
        assertThrows(NativeCallException.class, () -> source.commit(region, 0, 4 * CHUNK));
    assertEquals(Errno.EFAULT, failed.errno());
    assertEquals(0, region.committed().coveredBytes(0, 4 * CHUNK));
    int[] status = new int[(int) (3 * CHUNK / source.osPageBytes())];
    kernel.queryPages(region.address() + CHUNK, source.osPageBytes(), status);
    assertTrue(Arrays.stream(status).allMatch(node -> node < 0));
    assertWorks(region);
  }

  @Test
  void aFailureOfTheCleanupIsToldBesideTheFirst() {
    Region region = source.reserve(NODE, 2 * CHUNK);
    kernel.failOnce(Call.BIND_STRICT, 2, Errno.EPERM);
    kernel.failOnce(Call.DONTNEED, 2, Errno.EFAULT);
    NativeCallException failed =
        assertThrows(NativeCallException.class, () -> source.commit(region, 0, 2 * CHUNK));
    assertEquals(Errno.EPERM, failed.errno());
    assertEquals(Errno.EFAULT, ((NativeCallException) failed.getSuppressed()[0]).errno());
    assertWorks(region);
  }

  @Test
  void lockedMemoryGoesBackOnKernelsWithoutTheAdviceForIt() {
    Region region = source.reserve(NODE, 2 * CHUNK);
    source.commit(region, 0, 2 * CHUNK);
    source.view(region, 0, 8).putLong(0, 42);
    kernel.failOnce(Call.DONTNEED, 1, Errno.EINVAL);
    kernel.failFrom(Call.DONTNEED_LOCKED, 1, Errno.EINVAL);
    source.purge(region, 0, CHUNK);
    assertEquals(1, kernel.calls(Call.DONTNEED_LOCKED));
    assertEquals(Residency.NOT_PRESENT, source.residency(region, 0, CHUNK).node(0));
    source.release(region);
  }

  @Test
  void memoryGoesBackEvenWhereTheNodeCannotBePreferredAnyMore() {
    Region region = source.reserve(NODE, 2 * CHUNK);
    source.commit(region, 0, 2 * CHUNK);
    // A node that went offline is refused in a policy.
    kernel.failFrom(Call.PREFER, 1, Errno.EINVAL);
    source.purge(region, 0, CHUNK);
    assertEquals(Residency.NOT_PRESENT, source.residency(region, 0, CHUNK).node(0));
    source.view(region, CHUNK, 8).putLong(0, 42);
    source.release(region);
    assertEquals(0, ((LinuxRegion) region).roots().get(0).getLong((int) CHUNK));
  }

  @Test
  void noMappingForABindingIsAValue() {
    for (int chunk = 1; chunk <= 3; chunk++) {
      Region region = source.reserve(NODE, 3 * CHUNK);
      kernel.failFrom(Call.BIND_STRICT, chunk, Errno.ENOMEM);
      CommitResult refused = source.commit(region, 0, 3 * CHUNK);
      assertEquals(Outcome.LIMIT_REACHED, refused.outcome());
      assertTrue(refused.detail().startsWith("mappings="), refused.detail());
      assertTrue(refused.detail().contains("raise vm.max_map_count"), refused.detail());
      assertAbsent(region);
      assertWorks(region);
      budget.change(((LinuxRegion) region).heldMappings(), 0);
    }
  }

  @Test
  void noMappingForAPolicyLeavesItAloneAndGivesTheMemoryBack() throws IOException {
    LinuxRegion region = (LinuxRegion) source.reserve(NODE, 8 * CHUNK);
    source.commit(region, 0, region.bytes());
    source.view(region, 3 * CHUNK, 8).putLong(0, 42);
    kernel.failFrom(Call.PREFER, 1, Errno.ENOMEM);
    source.purge(region, CHUNK, CHUNK);
    Residency purged = source.residency(region, CHUNK, CHUNK);
    assertTrue(purged.isAllOn(Residency.NOT_PRESENT), purged::toString);
    assertEquals(region.bytes(), region.policyBind().coveredBytes(0, region.bytes()));
    assertEquals(1, region.mappings());
    assertEquals(1, budget.used());
    assertEquals(1, MappingsTest.mappings(region));
    // It may not be populated while it is bound, so it waits for a mapping.
    assertEquals(Outcome.LIMIT_REACHED, source.commit(region, CHUNK, CHUNK).outcome());
    purged = source.residency(region, CHUNK, CHUNK);
    assertTrue(purged.isAllOn(Residency.NOT_PRESENT), purged::toString);
    // Its neighbour is purged too: one range then, of which both parts are counted.
    source.purge(region, CHUNK, 2 * CHUNK);
    kernel.recover();
    assertTrue(source.commit(region, CHUNK, 2 * CHUNK).isCommitted());
    assertEquals(42, source.view(region, 3 * CHUNK, 8).getLong(0));
    assertTrue(source.residency(region, 0, region.bytes()).isAllOn(NODE));
    assertEquals(1, MappingsTest.mappings(region));
    kernel.failFrom(Call.PREFER, 1, Errno.ENOMEM);
    source.release(region);
    assertEquals(1, budget.used());
    assertEquals(0, region.roots().get(0).getLong((int) (3 * CHUNK)));
  }

  /** A kernel whose table of mappings is full when half of a range has lost its policy. */
  private static final class HalfwayKernel extends Kernel {
    private boolean full;

    HalfwayKernel() {
      super(SystemCalls.of(System.getProperty("os.arch")).orElseThrow());
    }

    @Override
    int prefer(long address, long bytes, int node) {
      int errno = super.prefer(address, full ? bytes / 2 : bytes, node);
      return full ? Errno.ENOMEM : errno;
    }

    @Override
    void unbind(long address, long bytes, int node) {
      if (full) {
        throw Errno.failed("mbind", Errno.ENOMEM, range(address, bytes));
      }
      super.unbind(address, bytes, node);
    }
  }

  @Test
  void whatWasHalfUnboundWhenTheTableWasFullIsBoundAgain() throws IOException {
    HalfwayKernel halfway = new HalfwayKernel();
    LinuxSource filled =
        new LinuxSource(
            halfway,
            Machine.fromSysfs(Machine.SYSFS),
            ThisHost.capability(),
            budget,
            Path.of("/proc"));
    LinuxRegion region = (LinuxRegion) filled.reserve(NODE, 8 * CHUNK);
    filled.commit(region, 0, region.bytes());
    // Chunk 1 has PREFERRED and 2 to 4 are BIND, of which 2 loses it on the way.
    filled.purge(region, CHUNK, CHUNK);
    halfway.full = true;
    filled.purge(region, CHUNK, 4 * CHUNK);
    assertEquals(3, region.mappings());
    assertEquals(3, budget.used());
    assertEquals(7 * CHUNK, region.policyBind().coveredBytes(0, region.bytes()));
    assertEquals(3, MappingsTest.mappings(region));
    String bound = Long.toHexString(region.address() + 2 * CHUNK) + " bind=static:" + NODE;
    assertTrue(MappingsTest.numaMaps().contains(bound), bound);
    assertEquals(Outcome.LIMIT_REACHED, filled.commit(region, CHUNK, 4 * CHUNK).outcome());
    // Chunk 1 was committed meanwhile, and could not be unbound when it was given back.
    assertEquals(1, region.mappings());
    assertEquals(1, MappingsTest.mappings(region));
    halfway.full = false;
    assertTrue(filled.commit(region, 0, region.bytes()).isCommitted());
    assertEquals(1, MappingsTest.mappings(region));
    filled.release(region);
  }

  @Test
  void noMappingToConfineAChunkIsAValue(@TempDir Path sysfs) throws IOException {
    Path node = Files.createDirectories(sysfs.resolve("devices/system/node/node" + NODE));
    Files.writeString(
        node.resolve("meminfo"), "Node 0 MemFree: 1 kB\nNode 0 Active(file): 999999 kB\n");
    CommitProtocol through =
        new CommitProtocol(
            kernel, roomy(sysfs), ThisHost.capability(), budget, Machine.fromSysfs(Machine.SYSFS));
    LinuxRegion region = (LinuxRegion) source.reserve(NODE, 2 * CHUNK);
    kernel.failFrom(Call.CONFINE, 1, Errno.ENOMEM);
    assertEquals(Outcome.LIMIT_REACHED, through.commit(region, 0, CHUNK).outcome());
    assertAbsent(region);
    assertWorks(region);
  }

  @Test
  void beyondTheBudgetAFailedCommitLeavesTheKernelsCountAlone() throws IOException {
    LinuxRegion region = (LinuxRegion) source.reserve(NODE, 64 * CHUNK);
    source.commit(region, 0, region.bytes());
    MappingBudget full = new MappingBudget(budget.used() + 2);
    CommitProtocol tight =
        new CommitProtocol(
            kernel,
            roomy(Machine.SYSFS),
            ThisHost.capability(),
            full,
            Machine.fromSysfs(Machine.SYSFS));
    full.change(region.heldMappings(), 0);
    full.change(region.heldMappings(), region.mappings());
    for (int chunk = 1; chunk < 63; chunk += 2) {
      tight.giveBack(region, chunk * CHUNK, (chunk + 1) * CHUNK);
    }
    kernel.failFrom(Call.POPULATE, 1, Errno.ENOMEM);
    for (int chunk = 1; chunk < 63; chunk += 2) {
      assertFalse(tight.commit(region, chunk * CHUNK, (chunk + 1) * CHUNK).isCommitted());
      assertTrue(MappingsTest.mappings(region) <= region.mappings() + 1);
    }
  }

  @Test
  void throughCacheAChunkIsConfinedAndStillMerges(@TempDir Path sysfs) throws IOException {
    Path node = Files.createDirectories(sysfs.resolve("devices/system/node/node" + NODE));
    Files.writeString(
        node.resolve("meminfo"),
        "Node 0 MemFree: 1 kB\nNode 0 Active(file): 999999 kB\nNode 0 Inactive(file): 1 kB\n");
    CommitProtocol through =
        new CommitProtocol(
            kernel, roomy(sysfs), ThisHost.capability(), budget, Machine.fromSysfs(Machine.SYSFS));
    LinuxRegion region = (LinuxRegion) source.reserve(NODE, 64 * CHUNK);
    // Every second chunk, then the holes: what is never touched before it is cut never merges.
    for (int first = 0; first < 2; first++) {
      for (int chunk = first; chunk < 64; chunk += 2) {
        assertTrue(through.commit(region, chunk * CHUNK, (chunk + 1) * CHUNK).isCommitted());
      }
    }
    assertEquals(64, kernel.calls(Call.CONFINE));
    assertTrue(source.residency(region, 0, region.bytes()).isAllOn(NODE));
    assertEquals(1, MappingsTest.mappings(region));
    source.release(region);
  }

  @Test
  void aRegionIsOpenedInWindowsWhereTheKernelCountsWhatIsWritable(@TempDir Path proc)
      throws IOException {
    ThisHost.procThatCountsWhatIsWritable(proc);
    LinuxSource windowed = source(proc);
    long window = CommitProtocol.WINDOW_BYTES;
    LinuxRegion region = (LinuxRegion) windowed.reserve(NODE, 4 * window);
    assertTrue(windowed.commit(region, 2 * window - CHUNK, 2 * CHUNK).isCommitted());
    assertEquals(2 * window, region.opened().coveredBytes(0, 4 * window));
    assertTrue(windowed.commit(region, 0, CHUNK).isCommitted());
    assertTrue(MappingsTest.mappings(region) <= region.mappings());
    windowed.purge(region, 0, CHUNK);
    kernel.failFrom(Call.PROTECT, 1, Errno.ENOMEM);
    CommitResult refused = windowed.commit(region, 3 * window - CHUNK, 2 * CHUNK);
    assertEquals(Outcome.LIMIT_REACHED, refused.outcome());
    String figures = "vm.overcommit_memory=2, mprotect=ENOMEM, window_bytes=1073741824, commit_";
    assertTrue(refused.detail().startsWith(figures), refused.detail());
    assertTrue(refused.detail().contains("_bytes="), refused.detail());
    // Nothing of the range is there, and what needs no window still works.
    Residency residency = windowed.residency(region, 3 * window - CHUNK, 2 * CHUNK);
    assertTrue(residency.isAllOn(Residency.NOT_PRESENT), residency::toString);
    assertTrue(windowed.commit(region, 0, CHUNK).isCommitted());
    kernel.recover();
    assertTrue(windowed.commit(region, 3 * window - CHUNK, 2 * CHUNK).isCommitted());
    windowed.view(region, 3 * window, 8).putLong(0, 42);
    windowed.release(region);
    assertEquals(0, region.roots().get(3).getLong(0));
  }

  @Test
  void aCpusetTakesMemoryOfOtherNodesAway() throws IOException {
    Machine host = Machine.fromSysfs(Machine.SYSFS);
    Path status = Files.createTempFile("status", "");
    try {
      Files.writeString(status, "Name:\tjava\nMems_allowed:\t1\nMems_allowed_list:\t0-1023\n");
      assertEquals(host, LinuxSourceProvider.allowed(host, KeyedText.of(status)));
      Files.writeString(status, "Mems_allowed_list:\t900\n");
      assertTrue(LinuxSourceProvider.allowed(host, KeyedText.of(status)).withMemory().isEmpty());
      Files.writeString(status, "Name:\tjava\n");
      assertEquals(host, LinuxSourceProvider.allowed(host, KeyedText.of(status)));
    } finally {
      Files.delete(status);
    }
  }
}
