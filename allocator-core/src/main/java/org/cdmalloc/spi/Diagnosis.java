/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import java.util.List;

/**
 * What a source can and cannot do on this host, in words for the person who runs it.
 *
 * @param binds true if regions are bound to their nodes and residency can be read back
 * @param findings one sentence each: what was found, what blocks, what lifts it; may be empty.
 *     Where regions are not bound, the first says why
 */
public record Diagnosis(boolean binds, List<String> findings) {
  /**
   * Makes a diagnosis; the list is copied.
   *
   * @param binds as {@link #binds()}
   * @param findings as {@link #findings()}
   * @throws NullPointerException if the list or a sentence is null
   */
  public Diagnosis {
    findings = List.copyOf(findings);
  }

  /**
   * Says what keeps regions from being bound, and what lifts that.
   *
   * @return the first finding; empty where regions are bound
   */
  public String obstacle() {
    return binds || findings.isEmpty() ? "" : findings.get(0);
  }
}
