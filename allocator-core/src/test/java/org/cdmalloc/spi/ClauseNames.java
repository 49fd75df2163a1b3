/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import java.lang.reflect.Method;
import java.util.List;
import org.junit.jupiter.api.DisplayNameGenerator;

/** Names a test after the clauses that it quotes; one that quotes none keeps its method's name. */
public final class ClauseNames extends DisplayNameGenerator.Standard {
  /** Makes the generator; JUnit does. */
  public ClauseNames() {}

  @Override
  public String generateDisplayNameForMethod(
      List<Class<?>> enclosingInstanceTypes, Class<?> testClass, Method testMethod) {
    Clause clause = testMethod.getAnnotation(Clause.class);
    return clause == null
        ? super.generateDisplayNameForMethod(enclosingInstanceTypes, testClass, testMethod)
        : String.join(" / ", clause.value());
  }
}
