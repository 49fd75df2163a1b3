/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.nio.file.Files;
import java.nio.file.Path;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;

/**
 * The first node whose memory this process may use; found without JNA, and where sysfs is hidden.
 */
final class FirstNode {
  private FirstNode() {}

  static int id() {
    KeyedText status = KeyedText.of(Path.of("/proc/self/status"));
    NodeMask allowed = NodeMask.parse(status.word("Mems_allowed_list:"));
    return Files.isDirectory(Machine.SYSFS.resolve("devices/system/node"))
        ? Machine.fromSysfs(Machine.SYSFS).withMemory().and(allowed).first()
        : allowed.first();
  }
}
