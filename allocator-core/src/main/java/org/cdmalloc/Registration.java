/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

/** Something that was registered with an allocator, and stays so until this is closed. */
@FunctionalInterface
public interface Registration extends AutoCloseable {
  /**
   * Ends the registration. A call that began before may still run, none begins after. Does nothing
   * the second time.
   */
  @Override
  void close();
}
