/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.nio.file.Files;
import java.nio.file.Path;
import org.cdmalloc.topology.NodeMask;

/**
 * Why a system call that the kernel has is refused here, in words: what blocks it and what lifts
 * that. The error alone does not tell, so the process is asked whether a seccomp filter is in force
 * (proc(5), {@code Seccomp} of {@code status}) and whether the kernel has nodes at all. A filter
 * that is in force need not be the one that refuses: service managers and package sandboxes set
 * some for other calls, so it is named as probable only.
 *
 * <p>Container profiles differ. Docker's and containerd's default refuse the memory policy calls
 * with EPERM unless the container has SYS_NICE, and move_pages(2) even then; Podman's permits the
 * policy calls and refuses move_pages(2).
 */
record Refusal(boolean isFiltered, boolean hasNodes) {
  /** SECCOMP_MODE_FILTER of seccomp(2). */
  private static final String FILTER_MODE = "2";

  /** Looks at this process. */
  static Refusal of(Path proc, Path sysfs) {
    return new Refusal(
        KeyedText.of(proc.resolve("self/status")).word("Seccomp:").equals(FILTER_MODE),
        Files.isDirectory(sysfs.resolve("devices/system/node")));
  }

  /** Says with what error a call fails and who lets it fail. */
  String refusedWith(int errno) {
    return " refused with "
        + Errno.name(errno)
        + (isFiltered && isPolicy(errno)
            ? ", probably by the seccomp filter that is in force"
            : "");
  }

  /** Says why memory cannot be bound and what lifts that. */
  String ofBinding(int errno) {
    return "mbind is"
        + refusedWith(errno)
        + ", so memory cannot be bound to nodes; "
        + remedy(errno);
  }

  /** Says why memory cannot be bound where the kernel allows nodes that sysfs does not show. */
  static String ofHiddenNodes(NodeMask allowed, Path sysfs) {
    return "this host has memory on nodes "
        + allowed
        + ", and how much on which cannot be read, so nothing is bound; mount sysfs at "
        + sysfs;
  }

  /** Tells whether an error is that of somebody who refuses a call, rather than of the call. */
  static boolean isPolicy(int errno) {
    return errno == Errno.EPERM || errno == Errno.EACCES || errno == Errno.ENOSYS;
  }

  private String remedy(int errno) {
    if (!isPolicy(errno)) {
      return "this is unexpected, mbind(2) lists the causes";
    }
    if (isFiltered) {
      return "in a container add the capability SYS_NICE (docker run --cap-add SYS_NICE, or"
          + " securityContext.capabilities.add in Kubernetes) or use a seccomp profile that permits"
          + " mbind, get_mempolicy and move_pages; if that changes nothing, a security module (SELinux,"
          + " AppArmor) or a sandbox does it, and its log names the rule";
    }
    if (errno != Errno.ENOSYS) {
      return "no seccomp filter is in force, so a security module (SELinux, AppArmor) or a sandbox"
          + " does it: allow mbind, get_mempolicy and move_pages there, its log names the rule";
    }
    return hasNodes
        ? "a sandbox does not have the call: run outside of it"
        : "this kernel is built without CONFIG_NUMA: use one that is built with it";
  }
}
