/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.util.EnumMap;
import java.util.Map;
import org.cdmalloc.topology.NodeMask;

/**
 * A kernel of two nodes, of which a call to come fails: any call, with any errno, at any position.
 * A call that is made to fail does nothing, as a kernel's does. Calls of the thread that made it
 * count and fail; those of others, such as a Cleaner, pass.
 */
final class FaultyKernel extends TwoNodeKernel {
  /** What can be made to fail. */
  enum Call {
    MMAP,
    MUNMAP,
    MLOCK,
    MUNLOCK,
    MPROTECT,
    MADVISE_DONTFORK,
    MADVISE_NOHUGEPAGE,
    MADVISE_POPULATE_WRITE,
    MADVISE_DONTNEED,
    MADVISE_DONTNEED_LOCKED,
    MADVISE_COLD,
    MBIND,
    HOME_NODE,
    MOVE_PAGES,
    MOVE_PAGES_TO_TARGETS,
    GET_MEMPOLICY
  }

  private final Thread owner = Thread.currentThread();
  private final RangeSet mapped = new RangeSet();
  private final int osPageBytes;
  private final Map<Call, Integer> calls = new EnumMap<>(Call.class);
  private Call failing;
  private int position;
  private int errno;
  private boolean hasFailed;

  FaultyKernel() {
    this(ThisHost.KERNEL.pageBytes());
  }

  /** A kernel that says its pages are larger than they are: a multiple serves as well. */
  FaultyKernel(int osPageBytes) {
    this.osPageBytes = osPageBytes;
  }

  /** Lets the n-th call from now fail, once; counts begin anew. */
  void failAt(Call call, int nth, int withErrno) {
    calls.clear();
    failing = call;
    position = nth;
    errno = withErrno;
    hasFailed = false;
  }

  /** Returns how often each call was made since the counts began. */
  Map<Call, Integer> calls() {
    return Map.copyOf(calls);
  }

  boolean hasFailed() {
    return hasFailed;
  }

  /** Returns how much is mapped of what was mapped through this kernel. */
  long mappedBytes() {
    synchronized (mapped) {
      return mapped.coveredBytes(0, Long.MAX_VALUE);
    }
  }

  private int faultOf(Call call) {
    if (Thread.currentThread() != owner) {
      return 0;
    }
    int count = calls.merge(call, 1, Integer::sum);
    if (call != failing || count != position) {
      return 0;
    }
    hasFailed = true;
    return errno;
  }

  @Override
  long map(long bytes, int protection) {
    int fault = faultOf(Call.MMAP);
    if (fault != 0) {
      return -fault;
    }
    long address = super.map(bytes, protection);
    if (address > 0) {
      synchronized (mapped) {
        mapped.add(address, address + bytes);
      }
    }
    return address;
  }

  @Override
  void unmap(long address, long bytes) {
    int fault = faultOf(Call.MUNMAP);
    if (fault != 0) {
      throw Errno.failed("munmap", fault, range(address, bytes));
    }
    synchronized (mapped) {
      mapped.remove(address, address + bytes);
    }
    super.unmap(address, bytes);
  }

  @Override
  int lock(long address, long bytes) {
    int fault = faultOf(Call.MLOCK);
    return fault != 0 ? fault : super.lock(address, bytes);
  }

  @Override
  int unlock(long address, long bytes) {
    int fault = faultOf(Call.MUNLOCK);
    return fault != 0 ? fault : super.unlock(address, bytes);
  }

  @Override
  int protect(long address, long bytes, int protection) {
    int fault = faultOf(Call.MPROTECT);
    return fault != 0 ? fault : super.protect(address, bytes, protection);
  }

  @Override
  int advise(long address, long bytes, int advice) {
    int fault =
        faultOf(
            switch (advice) {
              case MADV_DONTFORK -> Call.MADVISE_DONTFORK;
              case MADV_NOHUGEPAGE -> Call.MADVISE_NOHUGEPAGE;
              case MADV_DONTNEED -> Call.MADVISE_DONTNEED;
              case MADV_DONTNEED_LOCKED -> Call.MADVISE_DONTNEED_LOCKED;
              case MADV_POPULATE_WRITE -> Call.MADVISE_POPULATE_WRITE;
              case MADV_COLD -> Call.MADVISE_COLD;
              default -> throw new AssertionError("advice=" + advice);
            });
    return fault != 0 ? fault : super.advise(address, bytes, advice);
  }

  @Override
  int setPolicy(long address, long bytes, int mode, NodeMask nodes, int flags) {
    int fault = faultOf(Call.MBIND);
    return fault != 0 ? fault : super.setPolicy(address, bytes, mode, nodes, flags);
  }

  @Override
  int setHomeNode(long address, long bytes, int node) {
    int fault = faultOf(Call.HOME_NODE);
    return fault != 0 ? fault : super.setHomeNode(address, bytes, node);
  }

  @Override
  int queryPages(long address, int pageBytes, int[] status) {
    int fault = faultOf(Call.MOVE_PAGES);
    return fault != 0 ? fault : super.queryPages(address, pageBytes, status);
  }

  /** As {@link #queryPages}, but neither counts nor fails. */
  int lookAtPages(long address, int pageBytes, int[] status) {
    return super.queryPages(address, pageBytes, status);
  }

  @Override
  int movePages(long[] addresses, int[] targets, int[] status) {
    int fault = faultOf(Call.MOVE_PAGES_TO_TARGETS);
    return fault != 0 ? fault : super.movePages(addresses, targets, status);
  }

  @Override
  int nodeOfPage(long address) {
    int fault = faultOf(Call.GET_MEMPOLICY);
    return fault != 0 ? -fault : super.nodeOfPage(address);
  }

  @Override
  int pageBytes() {
    return osPageBytes;
  }
}
