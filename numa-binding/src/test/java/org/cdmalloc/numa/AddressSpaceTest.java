/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.cdmalloc.NativeCallException;
import org.cdmalloc.spi.Stripe;
import org.junit.jupiter.api.Test;

/** What a kernel that fails to unmap leaves behind, and what it does not. */
final class AddressSpaceTest {
  private static final long CHUNK = CommitProtocol.CHUNK_BYTES;
  private static final int ROUNDS = 200;
  private static final int MADV_NORMAL = 0;

  private final MappingBudget budget = new MappingBudget(1000);
  private final int node = ThisHost.source().machine().withMemory().first();

  /** A kernel that fails to unmap while it is told to. */
  private static class Clinging extends Kernel {
    volatile boolean clings;
    volatile long address;
    volatile boolean hasFailed;
    volatile boolean hasUnmapped;

    Clinging() {
      super(SystemCalls.of(System.getProperty("os.arch")).orElseThrow());
    }

    @Override
    void unmap(long start, long bytes) {
      if (start == address) {
        if (clings) {
          hasFailed = true;
          throw Errno.failed("munmap", Errno.ENOMEM, range(start, bytes));
        }
        hasUnmapped = true;
      }
      super.unmap(start, bytes);
    }
  }

  private AddressSpace space(Kernel kernel) {
    return new AddressSpace(kernel, budget, true, true);
  }

  @Test
  void aTrimThatFailsUnmapsNothingThatMayBelongToOthers() {
    // The kernel gives out an address that is not aligned, and another thread takes what is
    // trimmed.
    Clinging kernel =
        new Clinging() {
          @Override
          long map(long bytes, int protection) {
            long mapped = super.map(bytes + 2 * CHUNK, protection);
            long aligned = (mapped + CHUNK - 1) & -CHUNK;
            long start = aligned + pageBytes();
            if (mapped < start) {
              super.unmap(mapped, start - mapped);
            }
            super.unmap(start + bytes, mapped + 2 * CHUNK - start);
            address = aligned + CHUNK + CHUNK;
            clings = true;
            return start;
          }

          @Override
          void unmap(long start, long bytes) {
            super.unmap(start, bytes);
            if (start % CHUNK != 0 && others == 0) {
              others = LibC.mmap(start, pageBytes(), 3, 0x22 | 0x100000, -1, 0);
              assertEquals(start, others);
            }
          }

          private long others;
        };
    assertThrows(NativeCallException.class, () -> space(kernel).reserve(Stripe.of(node), CHUNK));
    assertTrue(kernel.hasFailed);
    long others = kernel.address - 2 * CHUNK + kernel.pageBytes();
    assertTrue(isMapped(others), "what another thread mapped is gone");
    kernel.clings = false;
    kernel.unmap(others, kernel.pageBytes());
  }

  /** Of what is not mapped madvise(2) says ENOMEM. */
  private static boolean isMapped(long address) {
    Kernel kernel = ThisHost.KERNEL;
    return kernel.advise(address, kernel.pageBytes(), MADV_NORMAL) == 0;
  }

  @Test
  void regionsNeverTouchWhateverTheKernelGivesOut() {
    for (long start : new long[] {0, 1, CHUNK / ThisHost.KERNEL.pageBytes() - 1}) {
      List<RangeSet.Range> mapped = new ArrayList<>();
      Kernel kernel =
          new Clinging() {
            @Override
            long map(long bytes, int protection) {
              long address = super.map(bytes + 2 * CHUNK, protection);
              long first = ((address + CHUNK - 1) & -CHUNK) + start * pageBytes();
              super.unmap(address, first - address);
              super.unmap(first + bytes, address + 2 * CHUNK - first);
              mapped.add(new RangeSet.Range(first, first + bytes));
              return first;
            }
          };
      LinuxRegion region = space(kernel).reserve(Stripe.of(node), CHUNK);
      assertEquals(0, region.address() % CHUNK);
      assertTrue(region.address() > mapped.get(0).start(), "start=" + start);
      assertTrue(region.address() + CHUNK < mapped.get(0).end(), "start=" + start);
    }
  }

  /** Reserves a region that nobody can reach afterwards; returns its address. */
  private long forget(AddressSpace space) {
    return space.reserve(Stripe.of(node), CHUNK).address();
  }

  @Test
  void whatACleanerFailedToUnmapIsUnmappedAtTheNextReservation() {
    Clinging kernel = new Clinging();
    AddressSpace space = space(kernel);
    kernel.clings = true;
    kernel.address = forget(space);
    for (int round = 0; !kernel.hasFailed && round < ROUNDS; round++) {
      System.gc();
    }
    assertTrue(kernel.hasFailed, "no Cleaner has tried");
    assertTrue(isMapped(kernel.address));
    assertEquals(1, budget.used());
    kernel.clings = false;
    LinuxRegion last = space.reserve(Stripe.of(node), CHUNK);
    // The Cleaner may not have noted yet that it failed.
    for (int round = 0; !kernel.hasUnmapped && round < ROUNDS; round++) {
      System.gc();
      last = space.reserve(Stripe.of(node), CHUNK);
    }
    // Those of all rounds but the last are forgotten too.
    for (int round = 0; budget.used() > 1 && round < ROUNDS; round++) {
      System.gc();
    }
    assertTrue(kernel.hasUnmapped, "nobody has tried again");
    assertEquals(1, budget.used(), () -> "what was unmapped is not credited");
    assertEquals(CHUNK, last.bytes());
  }
}
