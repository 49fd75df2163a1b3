/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

/** What a method handle threw, unchecked. */
final class Rethrown {
  private Rethrown() {}

  /**
   * Throws errors and unchecked exceptions as they are.
   *
   * @param thrown what was thrown
   * @return never an exception that was unchecked already
   */
  static IllegalStateException of(Throwable thrown) {
    if (thrown instanceof Error error) {
      throw error;
    }
    if (thrown instanceof RuntimeException exception) {
      throw exception;
    }
    return new IllegalStateException(thrown);
  }
}
