/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import java.nio.ByteBuffer;
import org.cdmalloc.NativeCallException;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.CommitResult.Outcome;
import org.cdmalloc.spi.Diagnosis;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Region;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.topology.Machine;

/** A source of which one call to come fails, as a kernel's would. For one thread. */
final class FailingSource implements MemorySource {
  /** What can be made to fail. */
  enum Call {
    RESERVE,
    COMMIT,
    COMMIT_FULL,
    VIEW,
    RELEASE
  }

  private final MemorySource source;
  private Call failing;
  private int callsUntilFailure;

  FailingSource(MemorySource source) {
    this.source = source;
  }

  /** Lets the n-th call from now fail, once. */
  void fail(Call call, int nth) {
    failing = call;
    callsUntilFailure = nth;
  }

  private boolean fails(Call call) {
    return call == failing && --callsUntilFailure == 0;
  }

  private void throwIfFailing(Call call) {
    if (fails(call)) {
      throw new NativeCallException(call.name(), 12, "ENOMEM", "injected=true");
    }
  }

  @Override
  public Region reserve(int node, long bytes) {
    throwIfFailing(Call.RESERVE);
    return source.reserve(node, bytes);
  }

  @Override
  public CommitResult commit(Region region, long offset, long bytes) {
    throwIfFailing(Call.COMMIT);
    return fails(Call.COMMIT_FULL)
        ? new CommitResult(Outcome.LOST_RACE, "injected=true")
        : source.commit(region, offset, bytes);
  }

  @Override
  public ByteBuffer view(Region region, long offset, int bytes) {
    throwIfFailing(Call.VIEW);
    return source.view(region, offset, bytes);
  }

  @Override
  public long purge(Region region, long offset, long bytes) {
    return source.purge(region, offset, bytes);
  }

  @Override
  public void release(Region region) {
    source.release(region);
    throwIfFailing(Call.RELEASE);
  }

  @Override
  public Residency residency(Region region, long offset, long bytes) {
    return source.residency(region, offset, bytes);
  }

  @Override
  public String name() {
    return source.name();
  }

  @Override
  public boolean isReal() {
    return source.isReal();
  }

  @Override
  public Machine machine() {
    return source.machine();
  }

  @Override
  public int osPageBytes() {
    return source.osPageBytes();
  }

  @Override
  public long limitBytes() {
    return source.limitBytes();
  }

  @Override
  public int currentNode() {
    return source.currentNode();
  }

  @Override
  public long freeBytes(int node) {
    return source.freeBytes(node);
  }

  @Override
  public long addressOf(ByteBuffer buffer) {
    return source.addressOf(buffer);
  }

  @Override
  public Diagnosis diagnosis() {
    return source.diagnosis();
  }
}
