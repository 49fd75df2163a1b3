/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

/** What is thrown where one failure must keep none of the other work from being done. */
final class Failures {
  private Failures() {}

  /** Returns the first of several failures, with the others under it. */
  static RuntimeException joined(RuntimeException first, RuntimeException next) {
    if (first == null) {
      return next;
    }
    if (next != null && first != next) {
      first.addSuppressed(next);
    }
    return first;
  }
}
