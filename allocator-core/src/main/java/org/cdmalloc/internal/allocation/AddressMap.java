/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import org.cdmalloc.internal.address.RegionAddresses;
import org.cdmalloc.internal.slab.SlabIndex;

/**
 * Which zone an address belongs to. The zones of system nodes are searched first: how many others
 * there are, of devices or striped, costs their blocks nothing. Immutable; a change makes a new
 * map.
 */
final class AddressMap {
  private static final Extent[] NONE = {};

  /** Without zones. */
  static final AddressMap EMPTY = new AddressMap(NONE, NONE);

  /** A run of addresses of one zone, with what a free of a block that is kept ready needs of it. */
  record Extent(
      long start, long end, long offset, BackedZone zone, SlabIndex slabs, int magazineId) {
    Extent(long start, long end, long offset, BackedZone zone) {
      this(start, end, offset, zone, zone.slabs(), zone.magazineId());
    }

    long offsetOf(long address) {
      return offset + (address - start);
    }
  }

  private final Extent[] first;
  private final Extent[] others;

  private AddressMap(Extent[] first, Extent[] others) {
    this.first = first;
    this.others = others;
  }

  /** Returns this map with the addresses of one more zone, among those that are searched first. */
  AddressMap withFirst(BackedZone zone) {
    return new AddressMap(joined(first, zone), others);
  }

  /** Returns this map with the addresses of one more zone. */
  AddressMap with(BackedZone zone) {
    return new AddressMap(first, joined(others, zone));
  }

  /** Returns this map without the addresses of a zone. */
  AddressMap without(BackedZone zone) {
    return new AddressMap(without(first, zone), without(others, zone));
  }

  private static Extent[] without(Extent[] extents, BackedZone zone) {
    return Arrays.stream(extents).filter(extent -> extent.zone() != zone).toArray(Extent[]::new);
  }

  private static Extent[] joined(Extent[] extents, BackedZone zone) {
    List<Extent> all = new ArrayList<>(List.of(extents));
    RegionAddresses addresses = zone.addresses();
    if (addresses.isContiguous()) {
      int last = addresses.pieces() - 1;
      long start = addresses.address(0);
      long bytes = addresses.pieceOffset(last) + addresses.pieceBytes(last);
      all.add(new Extent(start, start + bytes, 0, zone));
    } else {
      for (int piece = 0; piece < addresses.pieces(); piece++) {
        long offset = addresses.pieceOffset(piece);
        long start = addresses.address(offset);
        all.add(new Extent(start, start + addresses.pieceBytes(piece), offset, zone));
      }
    }
    all.sort(Comparator.comparingLong(Extent::start));
    return all.toArray(new Extent[0]);
  }

  /** Returns the extent that holds an address, or null. */
  Extent find(long address) {
    Extent extent = find(first, address);
    return extent != null ? extent : find(others, address);
  }

  private static Extent find(Extent[] extents, long address) {
    int low = 0;
    int high = extents.length - 1;
    while (low <= high) {
      int middle = (low + high) >>> 1;
      Extent extent = extents[middle];
      if (address < extent.start) {
        high = middle - 1;
      } else if (address >= extent.end) {
        low = middle + 1;
      } else {
        return extent;
      }
    }
    return null;
  }
}
