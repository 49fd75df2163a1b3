/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.nio.ByteBuffer;
import org.cdmalloc.Placement;
import org.cdmalloc.internal.magazine.Choices;

/**
 * Requests that nobody is charged for: a walk along the zones of a placement. Safe for use by any
 * number of threads.
 */
public final class SystemRequests implements Requests {
  private final AllocationPath allocation;
  private final Placement placement;
  private final Paths paths;

  /** What threads chose for these requests; null in a scope, and where they keep nothing. */
  private final Choices choices;

  /** Null where blocks belong to nobody. */
  private final Scope scope;

  /**
   * Makes requests whose blocks belong to nobody.
   *
   * @param allocation serves them
   * @param placement where, for messages
   * @param paths what the placement was resolved to
   */
  public SystemRequests(AllocationPath allocation, Placement placement, Paths paths) {
    this(allocation, placement, paths, allocation.newChoices(), null);
  }

  private SystemRequests(
      AllocationPath allocation, Placement placement, Paths paths, Choices choices, Scope scope) {
    this.allocation = allocation;
    this.placement = placement;
    this.paths = paths;
    this.choices = choices;
    this.scope = scope;
  }

  @Override
  public Requests in(Scope owner) {
    return new SystemRequests(allocation, placement, paths, null, owner);
  }

  @Override
  public long tryAllocate(long bytes, long alignment) {
    long address = choices == null ? 0 : choices.hit(bytes, alignment);
    return address != 0 ? address : tryAllocate(newBlock(), choose(bytes), bytes, alignment);
  }

  /** Chooses the zones, and remembers it where the next request of this thread is served alike. */
  private ZonePath choose(long bytes) {
    ZonePath path = paths.choose(bytes);
    if (choices != null && paths.isByCaller()) {
      allocation.remember(choices, path);
    }
    return path;
  }

  private long tryAllocate(Scope.Block block, ZonePath path, long bytes, long alignment) {
    long address = allocation.tryAllocate(path, bytes, alignment, block);
    if (block != null && address != 0) {
      scope.enter(block, address);
    }
    return address;
  }

  /** Returns an owner for a block of the scope, or null where blocks belong to nobody. */
  private Scope.Block newBlock() {
    return scope == null ? null : scope.newBlock(null);
  }

  @Override
  public long allocate(long bytes, long alignment) {
    long address = choices == null ? 0 : choices.hit(bytes, alignment);
    return address != 0 ? address : allocateChosen(bytes, alignment);
  }

  private long allocateChosen(long bytes, long alignment) {
    Scope.Block block = newBlock();
    // Chosen once: choosing again would take another turn of an interleaving, or follow the thread
    // to another node, and the exception would tell of zones that were not tried.
    ZonePath path = choose(bytes);
    long address = tryAllocate(block, path, bytes, alignment);
    if (address == 0) {
      throw allocation.exhausted(path, bytes, alignment, placement);
    }
    return address;
  }

  private ByteBuffer hitBuffer(int bytes, boolean zeroed) {
    return choices == null
        ? null
        : choices.hitBuffer(bytes, zeroed && allocation.zeroesWhenAllocated());
  }

  @Override
  public ByteBuffer tryAllocateBuffer(int bytes, boolean zeroed) {
    ByteBuffer buffer = hitBuffer(bytes, zeroed);
    return buffer != null ? buffer : tryAllocateBuffer(newBlock(), choose(bytes), bytes, zeroed);
  }

  private ByteBuffer tryAllocateBuffer(
      Scope.Block block, ZonePath path, int bytes, boolean zeroed) {
    ByteBuffer buffer = allocation.tryAllocateBuffer(path, bytes, zeroed, block);
    if (block != null && buffer != null) {
      scope.enter(block, allocation.address(buffer));
    }
    return buffer;
  }

  @Override
  public ByteBuffer allocateBuffer(int bytes, boolean zeroed) {
    ByteBuffer buffer = hitBuffer(bytes, zeroed);
    return buffer != null ? buffer : allocateChosenBuffer(bytes, zeroed);
  }

  private ByteBuffer allocateChosenBuffer(int bytes, boolean zeroed) {
    Scope.Block block = newBlock();
    ZonePath path = choose(bytes);
    ByteBuffer buffer = tryAllocateBuffer(block, path, bytes, zeroed);
    if (buffer == null) {
      throw allocation.exhausted(path, bytes, 1, placement);
    }
    return buffer;
  }

  @Override
  public Destination destination() {
    if (placement.mode() != Placement.Mode.ON_NODE) {
      throw new IllegalArgumentException(
          "a block is moved to one node: placement="
              + placement
              + "; give Placement.onNode(node) or the placement of a capability");
    }
    return new Destination(paths.choose(1).zone(0), null);
  }

  @Override
  public Placement placement() {
    return placement;
  }
}
