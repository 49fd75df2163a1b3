/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.nio.ByteBuffer;
import java.util.List;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.Diagnosis;
import org.cdmalloc.spi.Explanation;
import org.cdmalloc.spi.LockResult;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.MoveResult;
import org.cdmalloc.spi.Region;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.spi.Stripe;
import org.cdmalloc.topology.Machine;

/** Hands all calls on to another source, except those that a test wants to see. */
abstract class ForwardingSource implements MemorySource {
  private final MemorySource source;

  ForwardingSource(MemorySource source) {
    this.source = source;
  }

  @Override
  public Region reserve(Stripe stripe, long bytes) {
    return source.reserve(stripe, bytes);
  }

  @Override
  public CommitResult commit(Region region, long offset, long bytes) {
    return source.commit(region, offset, bytes);
  }

  @Override
  public MoveResult move(Region region, long offset, long bytes, int node) {
    return source.move(region, offset, bytes, node);
  }

  @Override
  public LockResult lock(Region region, long offset, long bytes) {
    return source.lock(region, offset, bytes);
  }

  @Override
  public void unlock(Region region, long offset, long bytes) {
    source.unlock(region, offset, bytes);
  }

  @Override
  public List<String> lockHazards(int node) {
    return source.lockHazards(node);
  }

  @Override
  public long purge(Region region, long offset, long bytes) {
    return source.purge(region, offset, bytes);
  }

  @Override
  public void release(Region region) {
    source.release(region);
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
  public long presentBytes(int node) {
    return source.presentBytes(node);
  }

  @Override
  public CommitResult room(int node, long bytes) {
    return source.room(node, bytes);
  }

  @Override
  public ByteBuffer view(Region region, long offset, int bytes) {
    return source.view(region, offset, bytes);
  }

  @Override
  public long addressOf(ByteBuffer buffer) {
    return source.addressOf(buffer);
  }

  @Override
  public Residency residency(Region region, long offset, long bytes) {
    return source.residency(region, offset, bytes);
  }

  @Override
  public Explanation explain(int home, int found) {
    return source.explain(home, found);
  }

  @Override
  public Diagnosis diagnosis() {
    return source.diagnosis();
  }
}
