/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import java.util.function.ToIntFunction;
import org.cdmalloc.spi.PolicyCalls;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;

/** The memory policy calls of an emulated kernel. */
final class EmulatedPolicyCalls implements PolicyCalls {
  private final Machine machine;
  private final int pageBytes;
  private final EmulatedKernel kernel;

  EmulatedPolicyCalls(Machine machine, int pageBytes, EmulatedKernel kernel) {
    this.machine = machine;
    this.pageBytes = pageBytes;
    this.kernel = kernel;
  }

  @Override
  public String release() {
    return "6.18";
  }

  @Override
  public int pageBytes() {
    return pageBytes;
  }

  @Override
  public int maxNodes() {
    return NodeMask.MAX_NODES;
  }

  @Override
  public boolean hasSysNice() {
    return true;
  }

  @Override
  public NodeMask online() {
    return machine.online();
  }

  @Override
  public NodeMask withMemory() {
    return machine.withMemory();
  }

  @Override
  public long map(long bytes) {
    return kernel.map(bytes);
  }

  @Override
  public int unmap(long address, long bytes) {
    return kernel.unmap(address, bytes);
  }

  @Override
  public int lock(long address, long bytes) {
    return unlessKilled(k -> k.lock(address, bytes));
  }

  @Override
  public int unlock(long address, long bytes) {
    return kernel.unlock(address, bytes);
  }

  @Override
  public int touch(long address) {
    return unlessKilled(k -> k.advise(address, pageBytes, Uapi.MADV_POPULATE_WRITE));
  }

  @Override
  public int advise(long address, long bytes, int advice) {
    return unlessKilled(k -> k.advise(address, bytes, advice));
  }

  @Override
  public int setMempolicy(int mode, long[] mask, long maxnode) {
    return kernel.setMempolicy(mode, mask, maxnode);
  }

  @Override
  public int mbind(long address, long bytes, int mode, long[] mask, long maxnode, int flags) {
    return kernel.mbind(address, bytes, mode, mask, maxnode, flags);
  }

  @Override
  public int setMempolicyHomeNode(long address, long bytes, long node, long flags) {
    return kernel.setMempolicyHomeNode(address, bytes, node, flags);
  }

  @Override
  public int getMempolicy(int[] value, long[] mask, long maxnode, long address, long flags) {
    return kernel.getMempolicy(value, mask, maxnode, address, flags);
  }

  @Override
  public int movePages(long[] addresses, int[] nodes, int[] status, int flags) {
    return kernel.movePages(addresses, nodes, status, flags);
  }

  private int unlessKilled(ToIntFunction<EmulatedKernel> call) {
    try {
      return call.applyAsInt(kernel);
    } catch (OomKillError e) {
      return KILLED;
    }
  }
}
