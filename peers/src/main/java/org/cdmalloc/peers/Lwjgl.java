/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import org.lwjgl.system.jemalloc.JEmalloc;
import org.lwjgl.system.rpmalloc.RPmalloc;

/** The native allocators that LWJGL brings along, through its raw calls. */
final class Lwjgl {
  private Lwjgl() {}

  /** jemalloc. */
  static final class Je extends AddressPeer {
    @Override
    long allocate(int bytes) {
      return JEmalloc.nje_malloc(bytes);
    }

    @Override
    void free(long address) {
      JEmalloc.nje_free(address);
    }
  }

  /** rpmalloc. Stays initialized: threads that used it may end later than whoever closes it. */
  static final class Rp extends AddressPeer {
    /** LWJGL takes C's 0, which is success, for a {@code false}: hence the raw call. */
    Rp() {
      if (RPmalloc.nrpmalloc_initialize() != 0) {
        throw new IllegalStateException("rpmalloc_initialize failed");
      }
    }

    /** A thread without its own heap crashes the JVM. */
    @Override
    public void enterThread() {
      if (!RPmalloc.rpmalloc_is_thread_initialized()) {
        RPmalloc.rpmalloc_thread_initialize();
      }
    }

    @Override
    long allocate(int bytes) {
      return RPmalloc.nrpmalloc(bytes);
    }

    @Override
    void free(long address) {
      RPmalloc.nrpfree(address);
    }
  }
}
