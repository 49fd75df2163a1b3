/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

/** The calls of {@code org.cdmalloc.spi.MemorySource}. */
public enum SourceCall {
  /** {@code name()}. */
  NAME("name"),
  /** {@code isReal()}. */
  IS_REAL("isReal"),
  /** {@code machine()}. */
  MACHINE("machine"),
  /** {@code osPageBytes()}. */
  OS_PAGE_BYTES("osPageBytes"),
  /** {@code limitBytes()}. */
  LIMIT_BYTES("limitBytes"),
  /** {@code currentNode()}. */
  CURRENT_NODE("currentNode"),
  /** {@code freeBytes(node)}. */
  FREE_BYTES("freeBytes"),
  /** {@code presentBytes(node)}. */
  PRESENT_BYTES("presentBytes"),
  /** {@code room(node, bytes)}. */
  ROOM("room"),
  /** {@code reserve(stripe, bytes)}. */
  RESERVE("reserve"),
  /** {@code commit(region, offset, bytes)}. */
  COMMIT("commit"),
  /** {@code move(region, offset, bytes, node)}. */
  MOVE("move"),
  /** {@code lock(region, offset, bytes)}. */
  LOCK("lock"),
  /** {@code unlock(region, offset, bytes)}. */
  UNLOCK("unlock"),
  /** {@code lockHazards(node)}. */
  LOCK_HAZARDS("lockHazards"),
  /** {@code purge(region, offset, bytes)}. */
  PURGE("purge"),
  /** {@code release(region)}. */
  RELEASE("release"),
  /** {@code view(region, offset, bytes)}. */
  VIEW("view"),
  /** {@code addressOf(buffer)}. */
  ADDRESS_OF("addressOf"),
  /** {@code residency(region, offset, bytes)}. */
  RESIDENCY("residency"),
  /** {@code explain(home, found)}. */
  EXPLAIN("explain"),
  /** {@code diagnosis()}. */
  DIAGNOSIS("diagnosis");

  private final String method;

  SourceCall(String method) {
    this.method = method;
  }

  /**
   * Returns the method's name.
   *
   * @return in Java
   */
  public String method() {
    return method;
  }
}
