/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.observe;

import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import org.cdmalloc.Displacement;

/** The event of a displacement. Loaded only where the runtime has a flight recorder. */
@Name("org.cdmalloc.PagesDisplaced")
@Label("Pages Displaced")
@Description("Memory was found elsewhere than on the node where it was committed")
@Category("cdmalloc")
@StackTrace(false)
final class PagesDisplacedEvent extends Event {
  @Label("Node")
  @Description("The node on which it was committed")
  int node;

  @Label("Found On")
  @Description("The node on which it was found; -2 if it is on none")
  int foundOn;

  @Label("Bytes")
  @Description("What was not known to be displaced before")
  @DataAmount
  long bytes;

  @Label("Cause")
  @Description("What probably moved it")
  String cause;

  @Label("Evidence")
  @Description("The kernel's figures that make the cause likely")
  String evidence;

  static void emit(Displacement displacement) {
    PagesDisplacedEvent event = new PagesDisplacedEvent();
    event.node = displacement.node();
    event.foundOn = displacement.foundOn();
    event.bytes = displacement.bytes();
    event.cause = displacement.cause().name();
    event.evidence = displacement.evidence();
    event.commit();
  }
}
