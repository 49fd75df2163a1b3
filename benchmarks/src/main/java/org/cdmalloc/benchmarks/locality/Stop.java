/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

/** Whether somebody asked to end early. Safe for use by any number of threads. */
final class Stop {
  private volatile boolean asked;

  void ask() {
    asked = true;
  }

  boolean isAsked() {
    return asked;
  }
}
