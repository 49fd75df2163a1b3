/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.stream.IntStream;
import org.cdmalloc.spi.Diagnosis;
import org.cdmalloc.spi.Explanation;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Region;
import org.cdmalloc.spi.Residency;

/**
 * Any source whose regions have addresses, and pages of it that lie elsewhere since a test moved
 * them, until they are given back. Safe for use by any number of threads.
 */
public final class MovedPages {
  /** Happens before the source is asked where pages lie. */
  public interface Watcher {
    /**
     * Sees a call.
     *
     * @param address the range's first byte
     * @param bytes its length
     */
    void asked(long address, long bytes);
  }

  private final MemorySource source;
  private final long pageBytes;
  private final ConcurrentSkipListMap<Long, Integer> nodeOfPage = new ConcurrentSkipListMap<>();
  private final Map<String, Explanation> explanations = new ConcurrentHashMap<>();
  private volatile Watcher watcher = (address, bytes) -> {};
  private volatile boolean real;
  private volatile boolean binds = true;

  /**
   * Moves nothing yet.
   *
   * @param source what calls are handed to
   */
  public MovedPages(MemorySource source) {
    this.source = source;
    this.pageBytes = source.osPageBytes();
  }

  /** Moves the pages of a range. */
  public void move(long address, long bytes, int node) {
    for (long page = address; page < address + bytes; page += pageBytes) {
      nodeOfPage.put(page, node);
    }
  }

  /** Moves all pages of a range back. */
  void moveBack(long address, long bytes) {
    nodeOfPage.subMap(address, address + bytes).clear();
  }

  /** Lets the source explain how pages come from one node to another. */
  void explain(int home, int found, Explanation explanation) {
    explanations.put(home + " " + found, explanation);
  }

  /** Lets the source call itself the work of a kernel. */
  public void pretendToBeReal() {
    real = true;
  }

  /** Lets the source say that it binds nothing; what it reserves says that of itself. */
  public void refuseToBind() {
    binds = false;
  }

  /**
   * Sets who is told.
   *
   * @param watcher of the questions from now on
   */
  public void watch(Watcher watcher) {
    this.watcher = watcher;
  }

  /**
   * Returns the source to give to an allocator.
   *
   * @return the source with the moved pages
   */
  public MemorySource source() {
    return (MemorySource)
        Proxy.newProxyInstance(
            MemorySource.class.getClassLoader(),
            new Class<?>[] {MemorySource.class},
            (proxy, method, arguments) -> call(method, arguments));
  }

  private Object call(Method method, Object[] arguments) throws Throwable {
    return switch (method.getName()) {
      case "isReal" -> real;
      case "diagnosis" -> new Diagnosis(binds, source.diagnosis().findings());
      case "explain" ->
          explanations.getOrDefault(arguments[0] + " " + arguments[1], Explanation.UNKNOWN);
      case "residency" -> {
        watcher.asked(address(arguments), (Long) arguments[2]);
        yield moved(address(arguments), (Residency) invoke(method, arguments));
      }
      case "purge" -> {
        moveBack(address(arguments), (Long) arguments[2]);
        yield invoke(method, arguments);
      }
      default -> invoke(method, arguments);
    };
  }

  private static long address(Object... arguments) {
    return ((Region) arguments[0]).address() + (Long) arguments[1];
  }

  private Residency moved(long address, Residency where) {
    int[] nodes = IntStream.range(0, where.pages()).map(where::node).toArray();
    nodeOfPage
        .subMap(address, address + nodes.length * pageBytes)
        .forEach((page, node) -> nodes[(int) ((page - address) / pageBytes)] = node);
    return new Residency(where.osPageBytes(), nodes, where.askedBy());
  }

  private Object invoke(Method method, Object... arguments) throws Throwable {
    try {
      return method.invoke(source, arguments);
    } catch (InvocationTargetException e) {
      throw e.getCause();
    }
  }
}
