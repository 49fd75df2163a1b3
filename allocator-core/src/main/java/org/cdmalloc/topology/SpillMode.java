/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.topology;

/** What follows a device node in its own fallback list. */
public enum SpillMode {
  /**
   * Nothing: the device's list is itself, "no automatic use in either direction" (J. Hubbard,
   * linux-mm, 8 March 2017, "Re: [PATCH 1/2] mm: Change generic FALLBACK zonelist creation
   * process").
   */
  STRICT,
  /**
   * All system RAM, in the order the kernel would try it (A. Khandual, linux-mm, 8 March 2017, the
   * mail that was answered).
   */
  RAM
}
