/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Every sequence of operations up to a length, on every zone of one to eight pages. To stop is a
 * choice too, so that each sequence is checked once, at its end.
 */
class ZoneExhaustiveTest {
  private static final Watermarks NO_MARKS = new Watermarks(0, 0, 0);

  /** Takes of every length, too long ones included, and frees of every page, live or not. */
  @ParameterizedTest
  @CsvSource({"1,8", "2,7", "3,5", "4,5", "5,4", "6,4", "7,4", "8,4"})
  void everySequenceOfTakesAndFreesDoesWhatTheModelSays(int capacityPages, int depth) {
    for (int maxOrder = 0; 1 << maxOrder <= capacityPages; maxOrder++) {
      Exhaustive choice = new Exhaustive();
      while (choice.next()) {
        try {
          Zone zone = new Zone(capacityPages, maxOrder, 1, NO_MARKS);
          TinyModel model = new TinyModel(capacityPages, maxOrder, 1);
          if (choice.index(2) == 1) {
            fillPageByPage(zone, model);
          }
          for (int step = 0; step < depth; step++) {
            int operation = choice.index(2 * capacityPages + 2);
            if (operation == 2 * capacityPages + 1) {
              break;
            }
            takeOrFree(operation, zone, model);
          }
          model.assertAgrees(zone);
        } catch (AssertionError failure) {
          throw new AssertionError(
              "capacityPages=" + capacityPages + ", maxOrder=" + maxOrder + ", choices=" + choice,
              failure);
        }
      }
    }
  }

  /** The same in regions with more pages than the zone may use. */
  @ParameterizedTest
  @CsvSource({"1,5", "2,5", "3,4", "4,4", "5,3"})
  void everySequenceInALargerRegionDoesWhatTheModelSays(int capacityPages, int depth) {
    for (int regionPages = capacityPages + 1; regionPages <= 2 * capacityPages; regionPages++) {
      for (int maxOrder = 0; 1 << maxOrder <= capacityPages; maxOrder++) {
        Exhaustive choice = new Exhaustive();
        while (choice.next()) {
          try {
            Zone zone = new Zone(regionPages, capacityPages, maxOrder, 1, NO_MARKS);
            TinyModel model = new TinyModel(regionPages, capacityPages, maxOrder, 1);
            for (int step = 0; step < depth; step++) {
              int operation = choice.index(2 * regionPages + 1);
              if (operation == 2 * regionPages) {
                break;
              }
              takeOrFree(operation, zone, model);
            }
            model.assertAgrees(zone);
          } catch (AssertionError failure) {
            throw new AssertionError(
                "capacityPages="
                    + capacityPages
                    + ", regionPages="
                    + regionPages
                    + ", maxOrder="
                    + maxOrder
                    + ", choices="
                    + choice,
                failure);
          }
        }
      }
    }
  }

  /** The same with every set of committed units, and takes that need committed pages. */
  @ParameterizedTest
  @CsvSource({"3,1,4", "5,2,3", "6,2,3", "7,1,2", "8,4,3"})
  void everySequenceWithCommittedUnitsDoesWhatTheModelSays(
      int capacityPages, int commitPages, int depth) {
    for (int maxOrder = 0; 1 << maxOrder <= capacityPages; maxOrder++) {
      Exhaustive choice = new Exhaustive();
      while (choice.next()) {
        try {
          Zone zone = new Zone(capacityPages, maxOrder, commitPages, NO_MARKS);
          TinyModel model = new TinyModel(capacityPages, maxOrder, commitPages);
          for (int page = 0; page < capacityPages; page += commitPages) {
            if (choice.index(2) == 1) {
              zone.markCommitted(page, 1);
              model.mark(page, 1, true);
            }
          }
          for (int step = 0; step < depth; step++) {
            int operation = choice.index(3 * capacityPages + 1);
            if (operation == 3 * capacityPages) {
              break;
            } else if (operation < capacityPages) {
              int pages = operation + 1;
              model.assertTook(model.takeCommitted(pages, 0), zone.takeCommitted(pages, 0), pages);
            } else {
              takeOrFree(operation - capacityPages, zone, model);
            }
          }
          model.assertAgrees(zone);
        } catch (AssertionError failure) {
          throw new AssertionError(
              "capacityPages=" + capacityPages + ", maxOrder=" + maxOrder + ", choices=" + choice,
              failure);
        }
      }
    }
  }

  /** Takes of every length at every alignment, owned or not, and frees in every name. */
  @ParameterizedTest
  @CsvSource({"1,5", "2,4", "3,3", "4,3", "5,3", "8,2"})
  void everySequenceOfAlignedAndOwnedRunsDoesWhatTheModelSays(int capacityPages, int depth) {
    Object[] names = {null, "one", "other"};
    for (int maxOrder = 0; 1 << maxOrder <= capacityPages; maxOrder++) {
      Exhaustive choice = new Exhaustive();
      while (choice.next()) {
        try {
          Zone zone = new Zone(capacityPages, maxOrder, 1, NO_MARKS);
          TinyModel model = new TinyModel(capacityPages, maxOrder, 1);
          for (int step = 0; step < depth; step++) {
            int page = choice.index(capacityPages + 1);
            if (page == capacityPages) {
              break;
            }
            Object name = names[choice.index(names.length)];
            int align = choice.index(maxOrder + 3);
            if (align == maxOrder + 2) {
              assertEquals(model.free(page, name), zone.free(page, name), "free");
            } else {
              model.assertTook(
                  model.take(page + 1, 0, align, name),
                  zone.take(page + 1, 0, align, NumaEvents.NONE, name),
                  page + 1);
            }
          }
          model.assertAgrees(zone);
        } catch (AssertionError failure) {
          throw new AssertionError(
              "capacityPages=" + capacityPages + ", maxOrder=" + maxOrder + ", choices=" + choice,
              failure);
        }
      }
    }
  }

  private static void fillPageByPage(Zone zone, TinyModel model) {
    for (int taken = 0; taken < model.regionPages; taken++) {
      model.assertTook(model.take(1, 0), zone.take(1, 0), 1);
    }
  }

  private static void takeOrFree(int operation, Zone zone, TinyModel model) {
    if (operation < model.regionPages) {
      assertEquals(model.free(operation), zone.free(operation), "free");
    } else {
      int pages = operation - model.regionPages + 1;
      model.assertTook(model.take(pages, 0), zone.take(pages, 0), pages);
    }
  }
}
