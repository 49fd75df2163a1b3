/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.util.HashSet;
import java.util.Set;
import org.cdmalloc.spi.LockResult;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Region;

/** Any source, which locks no more memory as soon as a test says so. For one thread. */
final class LimitedLocks extends ForwardingSource {
  /** What a refusal says, as a platform does. */
  static final String DETAIL = "memlock_limit_bytes=0; raise it";

  private record Range(Region region, long offset, long bytes) {}

  private final Set<Range> locked = new HashSet<>();
  private boolean refusing;

  LimitedLocks(MemorySource source) {
    super(source);
  }

  void refuse(boolean refuse) {
    refusing = refuse;
  }

  /** Returns how many ranges are locked. */
  int locked() {
    return locked.size();
  }

  @Override
  public LockResult lock(Region region, long offset, long bytes) {
    LockResult result = refusing ? LockResult.refused(DETAIL) : super.lock(region, offset, bytes);
    if (result.isLocked()) {
      locked.add(new Range(region, offset, bytes));
    }
    return result;
  }

  @Override
  public void unlock(Region region, long offset, long bytes) {
    super.unlock(region, offset, bytes);
    locked.remove(new Range(region, offset, bytes));
  }
}
