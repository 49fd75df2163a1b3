/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Region;
import org.cdmalloc.topology.NodeMask;

/**
 * This host's source, how commits of it ended, and where the kernel says that its regions' pages
 * are. Safe for use by any number of threads.
 */
final class WatchedHost {
  private final MemorySource host;
  private final Map<CommitResult.Outcome, Integer> outcomes =
      new EnumMap<>(CommitResult.Outcome.class);
  private final List<Region> regions = new ArrayList<>();

  /** Commits that had pages elsewhere for a moment. */
  private int moved;

  WatchedHost(MemorySource host) {
    this.host = host;
  }

  /** Returns the source to give to an allocator. */
  MemorySource source() {
    return (MemorySource)
        Proxy.newProxyInstance(
            WatchedHost.class.getClassLoader(),
            new Class<?>[] {MemorySource.class},
            (proxy, method, args) -> call(method, args));
  }

  private Object call(Method method, Object[] args) throws Throwable {
    Object result;
    try {
      result = method.invoke(host, args);
    } catch (InvocationTargetException e) {
      throw e.getCause();
    }
    synchronized (this) {
      if (result instanceof CommitResult commit) {
        outcomes.merge(commit.outcome(), 1, Integer::sum);
        moved += commit.isCommitted() && !commit.detail().isEmpty() ? 1 : 0;
      } else if (result instanceof Region region) {
        regions.add(region);
      }
    }
    return result;
  }

  /** Returns how commits ended. */
  synchronized Map<CommitResult.Outcome, Integer> outcomes() {
    return Map.copyOf(outcomes);
  }

  /** Returns how many commits had pages on another node for a moment. */
  synchronized int races() {
    return outcomes.getOrDefault(CommitResult.Outcome.LOST_RACE, 0) + moved;
  }

  /** Returns how many pages of all regions lie on certain nodes, by the kernel's own count. */
  synchronized long mappedPages(NodeMask nodes) throws IOException {
    NumaMaps maps = NumaMaps.of(Files.readAllLines(Path.of("/proc/self/numa_maps")));
    long pages = 0;
    for (Region region : regions) {
      pages += maps.pagesOn(nodes, region.address(), region.address() + region.bytes());
    }
    return pages;
  }
}
