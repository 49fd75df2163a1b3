/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.Diagnosis;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Region;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.topology.Machine;

/** An emulated machine that refuses what kernels refuse in containers. */
final class RefusingSource implements InvocationHandler {
  private final MemorySource emulated;
  private final boolean binds;
  private final long limitBytes;
  private final Map<Region, Region> emulatedRegions = new HashMap<>();
  private long committedBytes;

  private RefusingSource(Machine machine, boolean binds, long limitBytes) {
    this.emulated = TourCommand.emulatedSource(machine);
    this.binds = binds;
    this.limitBytes = limitBytes;
  }

  /** Returns a real machine that refuses mbind(2) and move_pages(2). */
  static MemorySource unbound(Machine machine) {
    return new RefusingSource(machine, false, Long.MAX_VALUE).proxy();
  }

  /** Returns a real machine that commits no more than a number of bytes, on all nodes together. */
  static MemorySource limited(Machine machine, long bytes) {
    return new RefusingSource(machine, true, bytes).proxy();
  }

  private MemorySource proxy() {
    return (MemorySource)
        Proxy.newProxyInstance(
            MemorySource.class.getClassLoader(), new Class<?>[] {MemorySource.class}, this);
  }

  @Override
  public Object invoke(Object proxy, Method method, Object[] arguments) throws Throwable {
    return switch (method.getName()) {
      case "isReal" -> true;
      case "diagnosis" ->
          new Diagnosis(binds, binds ? List.of() : List.of("mbind is refused; allow it"));
      case "reserve" -> reserve((Region) forward(method, arguments));
      case "commit" -> commit((Region) arguments[0], (long) arguments[1], (long) arguments[2]);
      case "residency" -> {
        Residency known = (Residency) forward(method, arguments);
        int[] unknown = new int[known.pages()];
        Arrays.fill(unknown, Residency.UNKNOWN);
        yield binds ? known : new Residency(known.osPageBytes(), unknown, "nothing");
      }
      default -> forward(method, arguments);
    };
  }

  private Region reserve(Region region) {
    Region shown = new Region(region.stripe(), region.bytes(), binds, 0, region.roots());
    emulatedRegions.put(shown, region);
    return shown;
  }

  private CommitResult commit(Region region, long offset, long bytes) {
    if (committedBytes + bytes > limitBytes) {
      return new CommitResult(CommitResult.Outcome.LIMIT_REACHED, "limit_bytes=" + limitBytes);
    }
    committedBytes += bytes;
    return emulated.commit(emulatedRegions.get(region), offset, bytes);
  }

  private Object forward(Method method, Object[] arguments) throws Throwable {
    Object[] forwarded = arguments == null ? new Object[0] : arguments.clone();
    for (int i = 0; i < forwarded.length; i++) {
      if (forwarded[i] instanceof Region region) {
        forwarded[i] = emulatedRegions.get(region);
      }
    }
    try {
      return method.invoke(emulated, forwarded);
    } catch (InvocationTargetException thrown) {
      throw thrown.getCause();
    }
  }
}
