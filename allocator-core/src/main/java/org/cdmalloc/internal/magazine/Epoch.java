/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.magazine;

/**
 * A number that every call reads and that hardly ever changes, alone in its cache line: beside what
 * is written under the depot's lock each miss of a thread would take the line from all others. The
 * JVM lays fields of one size out in their order.
 */
@SuppressWarnings("unused")
final class Epoch {
  long room1;
  long room2;
  long room3;
  long room4;
  long room5;
  long room6;
  long room7;
  private volatile long number;
  long room8;
  long room9;
  long room10;
  long room11;
  long room12;
  long room13;
  long room14;

  long get() {
    return number;
  }

  void set(long now) {
    number = now;
  }
}
