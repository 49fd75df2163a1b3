/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * Quotes the sentences of the port that a test checks; they are the test's name in reports. {@link
 * ClausesTest} holds each to the port's text, and the port's text to the tests.
 */
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.METHOD)
public @interface Clause {
  /**
   * Returns the quotations.
   *
   * @return each a sentence of the port or part of one, in plain text: no tags, and of a link what
   *     a reader sees
   */
  String[] value();
}
