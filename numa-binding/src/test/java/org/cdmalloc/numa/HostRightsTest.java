/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

/** The one sentence to read where all the other tests of this module fail at once. */
final class HostRightsTest {
  @Test
  void theCallsThatTheseTestsMakeArePermittedHere() {
    Capability here = ThisHost.capability();
    String otherwise =
        "the tests of numa-binding need mbind, get_mempolicy and move_pages, which this host"
            + " refuses: in a container run them with --security-opt seccomp=unconfined; findings="
            + here.findings();
    assertTrue(here.binds(), otherwise);
    assertEquals(Capability.ResidencyCall.MOVE_PAGES, here.residency(), otherwise);
  }
}
