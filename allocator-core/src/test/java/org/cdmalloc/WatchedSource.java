/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.cdmalloc.internal.address.BufferAddress;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Region;

/**
 * Any source, and a look at all of the regions that it reserved: at pages too that are in no block,
 * which no allocator shows.
 */
public final class WatchedSource {
  /** Happens before a call of the port is handed on; what it throws, the call throws. */
  public interface Watcher {
    /**
     * Sees a call.
     *
     * @param method its name
     */
    void called(String method);
  }

  private final MemorySource source;
  private final Watcher watcher;
  private final List<Region> regions = new CopyOnWriteArrayList<>();

  /**
   * Watches a source.
   *
   * @param source what calls are handed to
   */
  public WatchedSource(MemorySource source) {
    this(source, method -> {});
  }

  /**
   * Watches a source.
   *
   * @param source what calls are handed to
   * @param watcher told of each call before
   */
  public WatchedSource(MemorySource source, Watcher watcher) {
    this.source = source;
    this.watcher = watcher;
  }

  /**
   * Returns the source to give to an allocator.
   *
   * @return the same source under watch
   */
  public MemorySource source() {
    return (MemorySource)
        Proxy.newProxyInstance(
            MemorySource.class.getClassLoader(),
            new Class<?>[] {MemorySource.class},
            (proxy, method, arguments) -> call(method, arguments));
  }

  private Object call(Method method, Object[] arguments) throws Throwable {
    watcher.called(method.getName());
    try {
      Object result = method.invoke(source, arguments);
      if (result instanceof Region region) {
        regions.add(region);
      }
      return result;
    } catch (InvocationTargetException e) {
      throw e.getCause();
    }
  }

  /**
   * Looks at the pages from an address on, whether they are in a block or not.
   *
   * @param address the first byte, in a region's first root
   * @param bytes how many
   * @return a view of them
   */
  public ByteBuffer look(long address, int bytes) {
    for (Region region : regions) {
      ByteBuffer root = region.roots().get(0);
      long offset = address - BufferAddress.of(root);
      if (offset >= 0 && offset <= root.capacity() - bytes) {
        return root.slice((int) offset, bytes);
      }
    }
    throw new AssertionError("in no region: address=" + address);
  }
}
