/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.util.HashMap;
import java.util.Map;
import org.cdmalloc.topology.NodeMask;

/** A kernel of two nodes, of which single calls to come fail as they would on a full node. */
final class ScriptedKernel extends TwoNodeKernel {
  /** What can be made to fail. */
  enum Call {
    BIND_STRICT,
    BIND_MOVE,
    PREFER,
    CONFINE,
    POPULATE,
    DONTNEED,
    DONTNEED_LOCKED,
    MOVE_PAGES,
    NO_HUGE_PAGE,
    PROTECT
  }

  private record Failure(int first, int last, int errno) {}

  private final Map<Call, Failure> script = new HashMap<>();
  private final Map<Call, Integer> calls = new HashMap<>();
  private int overflowing;
  private boolean losesWhatIsMoved;

  /** Lets the n-th call from now, and each after it, fail. */
  void failFrom(Call call, int nth, int errno) {
    script.put(call, new Failure(nth, Integer.MAX_VALUE, errno));
    calls.put(call, 0);
  }

  /** Lets the n-th call from now fail, once. */
  void failOnce(Call call, int nth, int errno) {
    script.put(call, new Failure(nth, nth, errno));
    calls.put(call, 0);
  }

  /** Lets so many of the next pages that are brought in or moved to the other node stay here. */
  void overflow(int pages) {
    overflowing = pages;
  }

  /** Lets all pages of a range that is bound with MPOL_MF_MOVE vanish. */
  void loseWhatIsMoved() {
    losesWhatIsMoved = true;
  }

  void recover() {
    script.clear();
    losesWhatIsMoved = false;
    overflowing = 0;
  }

  @Override
  boolean hasRoom() {
    return overflowing-- <= 0;
  }

  int calls(Call call) {
    return calls.getOrDefault(call, 0);
  }

  private int errno(Call call) {
    int count = calls.merge(call, 1, Integer::sum);
    Failure failure = script.get(call);
    return failure != null && count >= failure.first && count <= failure.last ? failure.errno : 0;
  }

  @Override
  int bind(long address, long bytes, NodeMask nodes, int flags) {
    int errno = 0;
    if ((flags & MPOL_MF_MOVE) != 0) {
      errno = errno(Call.BIND_MOVE);
      if (losesWhatIsMoved) {
        super.advise(address, bytes, MADV_DONTNEED);
      }
    } else if ((flags & MPOL_MF_STRICT) != 0) {
      errno = errno(Call.BIND_STRICT);
    }
    return errno != 0 ? errno : super.bind(address, bytes, nodes, flags);
  }

  @Override
  int confine(long address, long bytes, NodeMask nodes, int home) {
    int errno = errno(Call.CONFINE);
    return errno != 0 ? errno : super.confine(address, bytes, nodes, home);
  }

  @Override
  int prefer(long address, long bytes, int node) {
    int errno = errno(Call.PREFER);
    return errno != 0 ? errno : super.prefer(address, bytes, node);
  }

  @Override
  int advise(long address, long bytes, int advice) {
    int errno =
        switch (advice) {
          case MADV_POPULATE_WRITE -> errno(Call.POPULATE);
          case MADV_DONTNEED -> errno(Call.DONTNEED);
          case MADV_DONTNEED_LOCKED -> errno(Call.DONTNEED_LOCKED);
          case MADV_NOHUGEPAGE -> errno(Call.NO_HUGE_PAGE);
          default -> 0;
        };
    return errno != 0 ? errno : super.advise(address, bytes, advice);
  }

  @Override
  int movePages(long[] addresses, int[] targets, int[] status) {
    int errno = errno(Call.MOVE_PAGES);
    return errno != 0 ? errno : super.movePages(addresses, targets, status);
  }

  @Override
  int protect(long address, long bytes, int protection) {
    int errno = errno(Call.PROTECT);
    return errno != 0 ? errno : super.protect(address, bytes, protection);
  }
}
