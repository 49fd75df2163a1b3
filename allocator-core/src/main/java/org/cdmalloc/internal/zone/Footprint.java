/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

/**
 * What arrays cost on the Java heap, in bytes: 16 for a header, 8 for a reference, which is what a
 * JVM without compressed references pays and at most twice what others do. Alignment is not
 * counted.
 */
final class Footprint {
  private static final int HEADER_BYTES = 16;
  private static final int REFERENCE_BYTES = 8;

  private Footprint() {}

  /** Returns the cost of an array of primitive elements. */
  static long ofArray(int length, int elementBytes) {
    return HEADER_BYTES + (long) length * elementBytes;
  }

  /** Returns the cost of an array of references, without what they refer to. */
  static long ofReferences(int length) {
    return ofArray(length, REFERENCE_BYTES);
  }
}
