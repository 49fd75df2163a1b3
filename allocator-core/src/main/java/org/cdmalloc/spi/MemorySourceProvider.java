/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import java.util.Optional;
import org.cdmalloc.topology.Machine;

/** Makes a {@link MemorySource}; found by {@link java.util.ServiceLoader}. Stateless. */
public interface MemorySourceProvider {
  /**
   * Names the source, as {@code -Dcdmalloc.source} does.
   *
   * @return a word: {@code linux}, {@code emulated}
   */
  String name();

  /**
   * Ranks this provider among those that could serve.
   *
   * @return higher is asked first
   */
  int priority();

  /**
   * Says why this provider cannot serve here.
   *
   * @param machine the machine that is wanted, or nothing for this host
   * @return one sentence: what is missing and what to do; nothing if {@link #open} will succeed
   */
  Optional<String> whyNot(Optional<Machine> machine);

  /**
   * Opens the source.
   *
   * @param machine the machine that is wanted, or nothing for this host
   * @return a new source
   * @throws IllegalStateException if {@link #whyNot} has something to say
   */
  MemorySource open(Optional<Machine> machine);
}
