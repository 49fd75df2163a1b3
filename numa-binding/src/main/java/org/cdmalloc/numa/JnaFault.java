/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.util.Optional;

/**
 * Why JNA does not work in this process, in words. JNA unpacks a library and loads it in the
 * initialiser of a class, so each fault is an {@link Error}, and the first attempt is the only one
 * that tells the cause: it is kept.
 */
final class JnaFault {
  private static final Optional<String> OF_THIS_PROCESS = attempt();

  private JnaFault() {}

  /** Returns what keeps JNA from working, if anything does. */
  static Optional<String> ofThisProcess() {
    return OF_THIS_PROCESS;
  }

  private static Optional<String> attempt() {
    try {
      // −1 is an answer too: the call may be refused.
      LibC.sched_getcpu();
      return Optional.empty();
    } catch (VirtualMachineError e) {
      throw e;
    } catch (Error e) {
      return Optional.of(words(e));
    }
  }

  /** Says what is wrong and what to do. */
  static String words(Throwable fault) {
    Throwable cause = fault;
    while (cause.getCause() != null) {
      cause = cause.getCause();
    }
    String message = String.valueOf(cause.getMessage()).strip();
    String firstLine = message.lines().findFirst().orElse("");
    if (message.contains("Error loading shared library") || message.contains("Error relocating")) {
      return "this C library is musl, and JNA's library is built for glibc ("
          + firstLine
          + "); use an image with glibc, such as Debian's or Ubuntu's, or set"
          + " -Djna.boot.library.path to a libjnidispatch that is built for musl";
    }
    if (message.contains("failed to map segment") || message.contains("Operation not permitted")) {
      return "JNA unpacks its library into a folder that forbids execution ("
          + firstLine
          + "); set -Djna.tmpdir to a folder that is not mounted noexec";
    }
    if (message.contains("is not writable") || message.contains("Read-only file system")) {
      return "JNA cannot unpack its library ("
          + firstLine
          + "); set -Djna.tmpdir to a folder that can be written and allows execution, such as an"
          + " emptyDir volume in Kubernetes";
    }
    if (message.contains("incompatible JNA native library")) {
      return "an older JNA library is found before the right one ("
          + firstLine
          + "); set -Djna.nosys=true, and do not set jna.boot.library.path";
    }
    if (cause instanceof IllegalCallerException) {
      return "this JVM denies native access ("
          + firstLine
          + "); start it with --enable-native-access=ALL-UNNAMED, or with the name of the module that"
          + " holds JNA";
    }
    if (cause instanceof NoClassDefFoundError || cause instanceof ClassNotFoundException) {
      return "JNA is not on the class path ("
          + firstLine
          + " is missing); add net.java.dev.jna:jna, which numa-binding depends on: something"
          + " excludes it";
    }
    return "JNA does not work here ("
        + cause
        + "); set -Djna.debug_load=true to see where it looks for its library";
  }
}
