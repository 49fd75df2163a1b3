/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * What the person who runs the process should know about this host, logged once per process however
 * many allocators are opened. Safe for use by any number of threads.
 */
public final class Warnings {
  private static final Logger LOGGER = System.getLogger("org.cdmalloc");

  /** A few at most: each is about the host, not about a request. */
  private static final Set<String> SAID = ConcurrentHashMap.newKeySet();

  private Warnings() {}

  /**
   * Logs a warning if it was not logged before.
   *
   * @param text one sentence, with what to do
   */
  public static void once(String text) {
    if (SAID.add(text)) {
      // As a parameter, so that braces in it are no placeholders.
      LOGGER.log(Level.WARNING, "{0}", text);
    }
  }
}
