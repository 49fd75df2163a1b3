/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.cdmalloc.spi.MemorySource;

/** What a reader of a report must know of its host. */
final class Notes {
  private Notes() {}

  static List<String> of(Host host, MemorySource source, Caches caches) {
    List<String> notes = new ArrayList<>(source.diagnosis().findings());
    String processor = host.processor().toLowerCase(Locale.ROOT);
    if (processor.contains("qemu") || processor.contains("tcg")) {
      notes.add("this processor is emulated: where memory lies is true, times mean nothing");
    } else if (host.isVirtual()) {
      notes.add(
          "this is a virtual machine: caches and memory are shared with others on its host, whose"
              + " nodes need not be these");
    }
    if (host.balancing()) {
      notes.add(
          "the kernel balances memory by itself (kernel.numa_balancing): it leaves what is bound to"
              + " a node alone, as all that is measured here");
    }
    if (caches.lastLevelBytes() == 0) {
      notes.add("the size of the caches is not told, so any figure may include cache hits");
    }
    return notes;
  }
}
