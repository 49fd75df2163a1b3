/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.util.ArrayList;
import java.util.List;
import org.cdmalloc.spi.Diagnosis;
import org.cdmalloc.topology.Machine;

/**
 * What the kernel lets this process do, tried once on a page of its own rather than read from
 * version numbers: container profiles refuse calls that the kernel has.
 *
 * @param binds whether mbind(2) works
 * @param populates whether madvise(2) knows MADV_POPULATE_WRITE (Linux 5.14) and no filter refuses
 *     it
 * @param residency which call tells where pages lie
 * @param findings one sentence for whatever is refused
 */
record Capability(
    boolean binds, boolean populates, ResidencyCall residency, List<String> findings) {
  /** The ways to learn where pages lie, best first. */
  enum ResidencyCall {
    /** Asks about many pages at once and brings none in. */
    MOVE_PAGES("move_pages"),
    /** Asks page by page and brings in what is absent. */
    GET_MEMPOLICY("get_mempolicy"),
    /** Reads counts per mapping; a file, which no profile refuses. */
    NUMA_MAPS("numa_maps"),
    /** All ways are barred. */
    NONE("nothing");

    private final String callName;

    ResidencyCall(String callName) {
      this.callName = callName;
    }

    String callName() {
      return callName;
    }
  }

  /** Tries the calls; what keeps memory from being bound stands first, what was known last. */
  static Capability probe(
      Kernel kernel, Machine machine, Refusal refusal, List<String> knownFindings) {
    List<String> findings = new ArrayList<>();
    int pageBytes = kernel.pageBytes();
    long page = kernel.map(pageBytes, Kernel.PROT_READ_WRITE);
    if (page < 0) {
      throw Errno.failed("mmap", (int) -page, "bytes=" + pageBytes);
    }
    try {
      int errno = kernel.prefer(page, pageBytes, machine.withMemory().first());
      if (errno != 0) {
        findings.add(refusal.ofBinding(errno));
      }
      int populate = kernel.advise(page, pageBytes, Kernel.MADV_POPULATE_WRITE);
      // Other errors are of this moment: no memory, for one.
      boolean populates = populate != Errno.EINVAL && !Refusal.isPolicy(populate);
      ResidencyCall residency = residency(kernel, page, pageBytes, refusal, findings);
      findings.addAll(knownFindings);
      return new Capability(errno == 0, populates, residency, List.copyOf(findings));
    } finally {
      kernel.unmap(page, pageBytes);
    }
  }

  private static ResidencyCall residency(
      Kernel kernel, long page, int pageBytes, Refusal refusal, List<String> findings) {
    int errno = kernel.queryPages(page, pageBytes, new int[1]);
    if (errno == 0) {
      return ResidencyCall.MOVE_PAGES;
    }
    int status = kernel.nodeOfPage(page);
    if (status >= 0) {
      findings.add(
          "move_pages is"
              + refusal.refusedWith(errno)
              + "; where pages lie is asked of get_mempolicy, page by page, which is slower");
      return ResidencyCall.GET_MEMPOLICY;
    }
    String refused =
        errno == -status
            ? "move_pages and get_mempolicy are" + refusal.refusedWith(errno)
            : "move_pages is"
                + refusal.refusedWith(errno)
                + ", get_mempolicy is"
                + refusal.refusedWith(-status);
    if (kernel.numaMaps().isEmpty()) {
      findings.add(
          refused
              + ", and /proc/self/numa_maps cannot be read: nothing tells where pages lie, so no"
              + " placement can be promised; permit one of the three");
      return ResidencyCall.NONE;
    }
    findings.add(
        refused
            + "; where pages lie is read from /proc/self/numa_maps, which counts per mapping: of a"
            + " mapping that lies on several nodes it is unknown");
    return ResidencyCall.NUMA_MAPS;
  }

  /** Returns what is left where the nodes are not known, and says why first. */
  Capability withoutBinding(String why) {
    List<String> all = new ArrayList<>(List.of(why));
    all.addAll(findings);
    return new Capability(false, populates, residency, List.copyOf(all));
  }

  Diagnosis diagnosis() {
    return new Diagnosis(binds && residency != ResidencyCall.NONE, findings);
  }
}
