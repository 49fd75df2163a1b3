/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.ServiceLoader;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.MemorySourceProvider;
import org.cdmalloc.topology.Machine;

/** Finds the memory source that serves here. */
public final class Sources {
  /** Names the source to use in the whole JVM. */
  private static final String PROPERTY = "cdmalloc.source";

  private static final String COORDINATES =
      "add org.cdmalloc:numa-binding (Linux) or org.cdmalloc:native-stubs (any host) to the class path";

  private static final String STAND_IN =
      "org.cdmalloc:native-stubs on the class path emulates a machine on any host";

  private Sources() {}

  /**
   * Opens the source of the highest priority that can serve, or the one that {@code
   * -Dcdmalloc.source} names. Where this host's memory was wanted and a source of lower priority
   * stands in, that is logged once, with the reasons.
   *
   * @param machine the machine that is wanted, or nothing for this host
   * @return a new source
   * @throws IllegalStateException if none can; the message says why each cannot and what to add
   * @throws IllegalArgumentException if the property names none that is there
   */
  public static MemorySource open(Optional<Machine> machine) {
    List<MemorySourceProvider> providers = new ArrayList<>();
    ServiceLoader.load(MemorySourceProvider.class, Sources.class.getClassLoader())
        .forEach(providers::add);
    providers.sort(Comparator.comparingInt(MemorySourceProvider::priority).reversed());
    String wanted = System.getProperty(PROPERTY);
    StringBuilder reasons = new StringBuilder();
    boolean found = false;
    for (MemorySourceProvider provider : providers) {
      if (wanted != null && !wanted.equals(provider.name())) {
        continue;
      }
      found = true;
      Optional<String> whyNot = provider.whyNot(machine);
      if (whyNot.isEmpty()) {
        MemorySource source = provider.open(machine);
        if (!reasons.isEmpty() && machine.isEmpty()) {
          Warnings.once(
              "memory of this host cannot be had, the source '"
                  + source.name()
                  + "' stands in"
                  + reasons
                  + "; -D"
                  + PROPERTY
                  + "="
                  + source.name()
                  + " chooses it without this warning");
        }
        return source;
      }
      reasons.append("; ").append(provider.name()).append(": ").append(whyNot.get());
    }
    if (wanted != null && !found) {
      throw new IllegalArgumentException(
          "no such memory source: "
              + PROPERTY
              + "="
              + wanted
              + ", found="
              + providers.stream().map(MemorySourceProvider::name).toList()
              + "; "
              + COORDINATES);
    }
    throw new IllegalStateException(
        "no memory source can serve here" + reasons + "; " + (found ? STAND_IN : COORDINATES));
  }
}
