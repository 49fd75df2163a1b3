/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.cdmalloc.HolderReport;
import org.cdmalloc.MagazineReport;
import org.cdmalloc.Marks;
import org.cdmalloc.MemoryReport;
import org.cdmalloc.NodeMemoryExhaustedException.Attempt;
import org.cdmalloc.NodeMemoryExhaustedException.Reason;
import org.cdmalloc.NodeReport;
import org.cdmalloc.NodeState;
import org.cdmalloc.NumaCounters;
import org.cdmalloc.StripeReport;
import org.cdmalloc.internal.magazine.Kept;
import org.cdmalloc.internal.zone.Fragmentation;
import org.cdmalloc.internal.zone.NumaEvents;
import org.cdmalloc.internal.zone.Watermarks;
import org.cdmalloc.internal.zone.Zone;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.topology.Zonelist.Kind;

/** What zones tell about themselves, in bytes: reports, and why a request failed. */
final class ZoneReports {
  private ZoneReports() {}

  /**
   * Reports on an allocator.
   *
   * @param zones all that are reserved
   * @param devices the reports that device nodes have as long as no zone is theirs, by number
   * @param findings what was found displaced
   * @param holders the reports of devices' holders
   */
  static MemoryReport report(
      List<BackedZone> zones,
      Map<Integer, NodeReport> devices,
      Findings findings,
      List<HolderReport> holders) {
    Map<Integer, NodeReport> nodes = new TreeMap<>(devices);
    List<StripeReport> stripes = new ArrayList<>();
    for (BackedZone zone : zones) {
      if (zone.shares().isEmpty()) {
        NodeReport device = devices.get(zone.node());
        Kind kind = device != null ? Kind.DEVICE : Kind.SYSTEM;
        NodeState state = device != null ? device.state() : NodeState.ONLINE;
        nodes.put(zone.node(), node(zone, kind, state, findings));
      } else {
        stripes.add(stripe(zone, findings));
      }
    }
    return new MemoryReport(
        new ArrayList<>(nodes.values()), stripes, findings.displacements(), holders);
  }

  private static NodeReport node(BackedZone backed, Kind kind, NodeState state, Findings findings) {
    Zone zone = backed.zone();
    Kept kept = backed.kept();
    return new NodeReport(
        backed.node(),
        kind,
        backed.backingNode(),
        state,
        bytes(zone.capacityPages()),
        bytes(zone.regionPages()),
        bytes(zone.committedPages()),
        usedBytes(zone, kept),
        bytes(Math.max(0, zone.lentPages() - backed.guestPages())),
        findings.displacedBytes(backed),
        bytes(zone.liveAwayPages()),
        bytes(backed.guestPages()),
        backed.demotedPages() * Zone.PAGE_BYTES,
        backed.promotedPages() * Zone.PAGE_BYTES,
        Math.max(0, zone.liveRuns() - kept.runs() + kept.liveBlocks()),
        marks(zone.watermarks()),
        boxed(zone.freeBlocksPerOrder()),
        counters(events(zone, kept)),
        new MagazineReport(kept.threadBytes(), kept.idleBytes(), kept.lockings()));
  }

  private static long usedBytes(Zone zone, Kept kept) {
    // Read one after another while others allocate and free.
    return Math.max(0, bytes(zone.usedPages()) - bytes(kept.runPages()) + kept.liveBytes());
  }

  private static long[] events(Zone zone, Kept kept) {
    long[] events = zone.events();
    long[] more = kept.events();
    Arrays.setAll(events, kind -> events[kind] + more[kind]);
    return events;
  }

  private static StripeReport stripe(BackedZone backed, Findings findings) {
    Zone zone = backed.zone();
    return new StripeReport(
        backed.shares().stripe(),
        bytes(zone.capacityPages()),
        bytes(zone.capacityPages()),
        bytes(zone.committedPages()),
        bytes(zone.usedPages()),
        findings.displacedBytes(backed),
        zone.liveRuns(),
        boxed(zone.freeBlocksPerOrder()));
  }

  /**
   * Says why a zone could not serve a request, as far as it can still be seen.
   *
   * @param backed the zone
   * @param requestedBytes the request
   * @param order of the block that the request is cut from
   * @param floorPages how many pages had to stay free
   * @param source asked for the node's free memory
   */
  static Attempt whyNot(
      BackedZone backed, long requestedBytes, int order, int floorPages, MemorySource source) {
    Zone zone = backed.zone();
    int[] free = zone.freeBlocksPerOrder();
    int freePages = zone.freePages();
    long wantedPages = requestedBytes == 0 ? 1 : (requestedBytes - 1) / Zone.PAGE_BYTES + 1;
    Refusal refusal = backed.refusal();
    Reason reason;
    String detail = backed.shares().isEmpty() ? "" : "stripe=" + backed.shares().stripe();
    if (zone.isIsolated()) {
      reason = Reason.DRAINING;
    } else if (order > zone.maxOrder()) {
      reason = Reason.TOO_LARGE;
    } else if (freePages - wantedPages < floorPages) {
      reason = floorPages > 0 ? Reason.LOW_MARK : Reason.FULL;
    } else if (order > zone.largestFreeOrder()) {
      reason = Reason.FRAGMENTED;
    } else if (refusal != null) {
      reason = refusal.reason();
      detail = refusal.detail();
    } else {
      reason = Reason.CONTENDED;
    }
    Kept kept = backed.kept();
    if (kept.runs() > 0) {
      detail += (detail.isEmpty() ? "" : ", ") + "kept_by_threads_bytes=" + kept.threadBytes();
      detail += ", kept_idle_bytes=" + kept.idleBytes();
    }
    return new Attempt(
        backed.node(),
        reason,
        Math.min(wantedPages, Long.MAX_VALUE / Zone.PAGE_BYTES) * Zone.PAGE_BYTES,
        bytes(zone.capacityPages()),
        bytes(freePages),
        bytes(floorPages),
        marks(zone.watermarks()),
        boxed(free),
        Fragmentation.unusableIndex(free, order),
        Fragmentation.fragmentationIndex(free, order),
        source.freeBytes(backed.backingNode()),
        detail);
  }

  /** Says the same of a zone but for the reason. */
  static Attempt because(Attempt attempt, Reason reason, String detail) {
    return new Attempt(
        attempt.node(),
        reason,
        attempt.wantedBytes(),
        attempt.capacityBytes(),
        attempt.freeBytes(),
        attempt.floorBytes(),
        attempt.marks(),
        attempt.freeBlocksPerOrder(),
        attempt.unusableIndex(),
        attempt.fragmentationIndex(),
        attempt.kernelFreeBytes(),
        detail);
  }

  /** Says why a block could not be moved to a node. */
  static Attempt noRoom(BackedZone target, long bytes, Refusal refusal, MemorySource source) {
    Zone zone = target.zone();
    int[] free = zone.freeBlocksPerOrder();
    return new Attempt(
        target.node(),
        refusal.reason(),
        bytes,
        bytes(zone.capacityPages()),
        bytes(zone.freePages()),
        0,
        marks(zone.watermarks()),
        boxed(free),
        0,
        0,
        source.freeBytes(target.backingNode()),
        refusal.detail());
  }

  private static NumaCounters counters(long[] events) {
    return new NumaCounters(
        count(events, NumaEvents.HIT),
        count(events, NumaEvents.MISS),
        count(events, NumaEvents.FOREIGN),
        count(events, NumaEvents.INTERLEAVE_HIT),
        count(events, NumaEvents.LOCAL),
        count(events, NumaEvents.OTHER));
  }

  private static long count(long[] events, int event) {
    return events[Integer.numberOfTrailingZeros(event)];
  }

  private static Marks marks(Watermarks marks) {
    return new Marks(bytes(marks.minPages()), bytes(marks.lowPages()), bytes(marks.highPages()));
  }

  private static List<Integer> boxed(int[] counts) {
    return Arrays.stream(counts).boxed().toList();
  }

  private static long bytes(int pages) {
    return (long) pages * Zone.PAGE_BYTES;
  }
}
