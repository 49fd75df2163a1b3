/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.architecture;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * Isolation is data, not code: what an implicit request executes is the same whatever is a device,
 * and does not ask what kind of node it deals with. By probes in every branch of the core.
 */
final class PathTest {
  private static final long SEED = Long.getLong("seed", 20170308L);
  private static final int[] NONE = {};

  /** A node that is a device in some scenarios. */
  private static final int NODE = 4;

  private static final String INTERNAL = "org.cdmalloc.internal.";

  /** All but the values of machines and of the port, which the emulated machine uses too. */
  private static final String ALLOCATOR = "org[.]cdmalloc[.]([A-Z]|internal[.]).*";

  /** What asks for the kind of a node. */
  private static final Pattern ATTRIBUTE =
      Pattern.compile(
          "device|coherent|cdm(?!alloc)|isSystem|NodeAttributes|NodePerformance|Zonelist\\$Kind",
          Pattern.CASE_INSENSITIVE);

  /** What could be asked for it: a machine, its nodes, masks of them. */
  private static final Pattern TOPOLOGY = Pattern.compile("org/cdmalloc/topology/");

  private static ExecutedCode withoutDevices;

  @BeforeAll
  static void execute() throws Exception {
    withoutDevices = implicitRequests(true, NONE);
  }

  private static ExecutedCode implicitRequests(boolean fallBack, int... devices) throws Exception {
    return ProbedCore.execute(ImplicitRequests.class, devices, fallBack, SEED);
  }

  @Test
  void machinesThatDifferInTheirDevicesRunTheSameBranches() throws Exception {
    for (int[] devices : new int[][] {{NODE}, {NODE, 5}, {2, NODE, 5}}) {
      ExecutedCode withDevices = implicitRequests(true, devices);
      assertNone(withoutDevices.branchesOnlyIn(withDevices, name -> true));
      assertNone(withDevices.branchesOnlyIn(withoutDevices, name -> true));
      assertEquals(withoutDevices.classes(), withDevices.classes());
    }
  }

  @Test
  void requestsThatFallBackRunBranchesThatOthersDoNot() throws Exception {
    ExecutedCode neverFull = implicitRequests(false, NONE);
    String path = INTERNAL + "allocation.ZonePath";
    assertFalse(neverFull.branchesOnlyIn(withoutDevices, path::equals).isEmpty());
    assertNone(withoutDevices.branchesOnlyIn(neverFull, name -> true));
  }

  @Test
  void aDeviceIsServedByBranchesThatServeNodesToo() throws Exception {
    ExecutedCode onNode = ProbedCore.execute(NodeRequests.class, NONE, NODE, SEED);
    ExecutedCode onDevice = ProbedCore.execute(NodeRequests.class, new int[] {NODE}, NODE, SEED);
    Predicate<String> zones =
        name -> name.matches("org[.]cdmalloc[.]internal[.](zone|allocation[.](Backed|ZoneP)).*");
    assertTrue(onDevice.classes().stream().filter(zones).count() > 5, "classes of zones");
    assertNone(onNode.branchesOnlyIn(onDevice, zones));
    // A device's blocks have owners, as those of arenas; a node has others too.
    assertFalse(onDevice.branchesOnlyIn(onNode, zones).isEmpty());
  }

  @Test
  void theClassesOfThePathNameNoNodeAttribute() {
    List<String> found = new ArrayList<>();
    for (String name : withoutDevices.classes()) {
      Set<String> executed = withoutDevices.executedConstants(name);
      find(ATTRIBUTE, executed, name, found);
      if (name.matches(ALLOCATOR)) {
        find(TOPOLOGY, executed, name, found);
      }
      if (name.startsWith(INTERNAL)) {
        find(ATTRIBUTE, withoutDevices.constants(name), name, found);
      }
    }
    assertNone(found);
    // The check reads what it should.
    assertTrue(withoutDevices.classes().contains(INTERNAL + "allocation.SystemRequests"));
    assertFalse(withoutDevices.classes().contains(INTERNAL + "allocation.DeviceRequests"));
  }

  private static void find(Pattern pattern, Set<String> texts, String name, List<String> found) {
    texts.stream()
        .filter(text -> pattern.matcher(text).find())
        .forEach(text -> found.add(name + " names '" + text + "'"));
  }

  private static void assertNone(List<String> found) {
    if (!found.isEmpty()) {
      fail("-Dseed=" + SEED + "\n" + String.join("\n", found));
    }
  }
}
