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
 * @param populates whether madvise(2) knows MADV_POPULATE_WRITE (Linux 5.14)
 * @param residency which call tells where pages lie
 * @param findings one sentence for whatever is refused
 */
record Capability(
    boolean binds, boolean populates, ResidencyCall residency, List<String> findings) {
  /** The calls that tell where pages lie, best first. */
  enum ResidencyCall {
    /** Asks about many pages at once and brings none in. */
    MOVE_PAGES("move_pages"),
    /** Asks page by page and brings in what is absent. */
    GET_MEMPOLICY("get_mempolicy"),
    /** All calls are refused. */
    NONE("nothing");

    private final String callName;

    ResidencyCall(String callName) {
      this.callName = callName;
    }

    String callName() {
      return callName;
    }
  }

  /** Tries the calls; what was found before stands first. */
  static Capability probe(Kernel kernel, Machine machine, List<String> knownFindings) {
    List<String> findings = new ArrayList<>(knownFindings);
    int pageBytes = kernel.pageBytes();
    long page = kernel.map(pageBytes, Kernel.PROT_READ_WRITE);
    if (page < 0) {
      throw Errno.failed("mmap", (int) -page, "bytes=" + pageBytes);
    }
    try {
      int node = machine.withMemory().first();
      int errno = kernel.prefer(page, pageBytes, node);
      boolean binds = errno == 0;
      if (!binds) {
        findings.add(refused("mbind", errno));
      }
      boolean populates = kernel.advise(page, pageBytes, Kernel.MADV_POPULATE_WRITE) == 0;
      ResidencyCall residency = residency(kernel, page, pageBytes, findings);
      return new Capability(binds, populates, residency, List.copyOf(findings));
    } finally {
      kernel.unmap(page, pageBytes);
    }
  }

  private static ResidencyCall residency(
      Kernel kernel, long page, int pageBytes, List<String> findings) {
    int errno = kernel.queryPages(page, pageBytes, new int[1]);
    if (errno == 0) {
      return ResidencyCall.MOVE_PAGES;
    }
    findings.add(refused("move_pages", errno));
    int status = kernel.nodeOfPage(page);
    if (status >= 0) {
      return ResidencyCall.GET_MEMPOLICY;
    }
    findings.add(refused("get_mempolicy", -status));
    return ResidencyCall.NONE;
  }

  private static String refused(String call, int errno) {
    String cause =
        switch (errno) {
          case Errno.EPERM, Errno.EACCES ->
              "a seccomp profile or a missing capability blocks it; in a container allow it with"
                  + " --cap-add SYS_NICE or a profile that permits "
                  + call;
          case Errno.ENOSYS ->
              "this kernel was built without CONFIG_NUMA, or a sandbox hides the call";
          default -> "unexpected; see mbind(2) and move_pages(2)";
        };
    return call + " is refused with " + Errno.name(errno) + ": " + cause;
  }

  Diagnosis diagnosis() {
    return new Diagnosis(binds && residency != ResidencyCall.NONE, findings);
  }
}
