/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.LongStream;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.MoveResult;
import org.cdmalloc.spi.Region;
import org.cdmalloc.spi.Stripe;
import org.cdmalloc.topology.NodeMask;

/**
 * A source that knows which nodes are devices, and which of them the calling thread has a right to:
 * whatever else reaches a device is a violation. It also has nodes that give nothing for a while,
 * as one does that the platform took offline. Regions of the source have addresses, which are never
 * used again. Safe for use by any number of threads.
 */
final class GuardedSource extends ForwardingSource {
  /** The right to no device; and of an address, that it is in no device's region. */
  static final int NONE = -1;

  /** No right to reserve or commit anything. */
  static final int NOTHING_AT_ALL = -2;

  private static final int EINVAL = 22;

  /** First byte, end and device of a region. */
  private static final int FIELDS = 3;

  private final NodeMask devices;
  private final Map<Integer, Integer> hosts;
  private final boolean settles;
  private final Violations violations;
  private final Map<Region, Integer> deviceOfRegion = new ConcurrentHashMap<>();

  /** Of all devices' regions; replaced under this object's lock. */
  private volatile long[] extents = {};

  private volatile NodeMask out = NodeMask.EMPTY;
  private volatile boolean throwsWhileOut;

  /** A thread of the fire: where it runs, and what it has a right to. */
  static final class Caller extends Thread {
    private int node;
    private int right = NONE;

    Caller(Runnable work) {
      super(work);
    }

    static Caller current() {
      return (Caller) currentThread();
    }

    /** Returns the node on whose CPU the calling thread runs, or another where it is no caller. */
    static int nodeOr(int other) {
      return currentThread() instanceof Caller caller ? caller.node : other;
    }

    void runOn(int where) {
      node = where;
    }

    void claim(int device) {
      right = device;
    }

    void claimNone() {
      right = NONE;
    }
  }

  /**
   * Guards a source.
   *
   * @param source what answers
   * @param devices the nodes that must not be reached without a right
   * @param hosts of those of them that are arenas, by number
   * @param settles whether blocks of RAM are moved, so that a request of a device's holder that
   *     gives idle memory back may also settle what of them could not be settled before
   * @param violations takes what is seen
   */
  GuardedSource(
      MemorySource source,
      NodeMask devices,
      Map<Integer, Integer> hosts,
      boolean settles,
      Violations violations) {
    super(source);
    this.devices = devices;
    this.hosts = hosts;
    this.settles = settles;
    this.violations = violations;
  }

  private static int right() {
    return Thread.currentThread() instanceof Caller caller ? caller.right : NONE;
  }

  /**
   * Returns the device in whose region a byte lies.
   *
   * @param address any
   * @return its number, or {@link #NONE}
   */
  int deviceAt(long address) {
    long[] known = extents;
    for (int i = 0; i < known.length; i += FIELDS) {
      if (address >= known[i] && address < known[i + 1]) {
        return (int) known[i + 2];
      }
    }
    return NONE;
  }

  /**
   * Lets nodes give nothing until this is called again.
   *
   * @param nodes which
   * @param throwing whether they fail as a call does, not as a full node
   */
  void takeOut(NodeMask nodes, boolean throwing) {
    throwsWhileOut = throwing;
    out = nodes;
  }

  @Override
  public Region reserve(Stripe stripe, long bytes) {
    int right = right();
    int device = right >= 0 ? right : stripe.nodes().and(devices).stream().findFirst().orElse(NONE);
    boolean isFair =
        right >= 0
            ? stripe.equals(Stripe.of(hosts.getOrDefault(right, right)))
            : right == NONE && device == NONE;
    if (!isFair) {
      violations.add("reserved without a right", "right=" + right + ", stripe=" + stripe);
    }
    Region region = super.reserve(stripe, bytes);
    if (device != NONE) {
      deviceOfRegion.put(region, device);
      addExtent(region, device);
    }
    return region;
  }

  private synchronized void addExtent(Region region, int device) {
    long[] added = Arrays.copyOf(extents, extents.length + FIELDS);
    added[extents.length] = region.address();
    added[extents.length + 1] = region.address() + region.bytes();
    added[extents.length + 2] = device;
    extents = added;
  }

  private synchronized void removeExtent(Region region) {
    long[] known = extents;
    LongStream.Builder kept = LongStream.builder();
    for (int i = 0; i < known.length; i += FIELDS) {
      if (known[i] != region.address()) {
        Arrays.stream(known, i, i + FIELDS).forEach(kept);
      }
    }
    extents = kept.build().toArray();
  }

  @Override
  public void release(Region region) {
    super.release(region);
    if (deviceOfRegion.remove(region) != null) {
      removeExtent(region);
    }
  }

  @Override
  public CommitResult commit(Region region, long offset, long bytes) {
    int right = right();
    int device = deviceOfRegion.getOrDefault(region, NONE);
    boolean isFair = device == right || (device == NONE && right >= 0 && settles);
    if (!isFair) {
      violations.add("committed without a right", "right=" + right + ", device=" + device);
    }
    if (!out.isEmpty() && !region.stripe().nodes().and(out).isEmpty()) {
      if (throwsWhileOut) {
        throw new NativeCallException("mbind", EINVAL, "EINVAL", "out=" + out);
      }
      return new CommitResult(CommitResult.Outcome.NODE_FULL, "out=" + out);
    }
    return super.commit(region, offset, bytes);
  }

  @Override
  public MoveResult move(Region region, long offset, long bytes, int node) {
    if (devices.contains(node) || deviceOfRegion.containsKey(region)) {
      violations.add("moved to or from a device", "node=" + node + ", of=" + region.stripe());
    }
    return super.move(region, offset, bytes, node);
  }
}
