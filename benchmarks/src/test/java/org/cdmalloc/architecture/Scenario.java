/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.architecture;

/**
 * What is done under watch. A scenario and all that it uses is loaded anew by {@link ProbedCore};
 * this type alone is known on both sides.
 */
public interface Scenario extends AutoCloseable {
  /** Does what shall not be recorded. */
  void prepare();

  /** Does what shall be recorded. */
  void run();

  @Override
  void close();
}
