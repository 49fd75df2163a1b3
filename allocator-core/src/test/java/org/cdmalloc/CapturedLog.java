/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.text.MessageFormat;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Semaphore;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;

/** What is logged from now to the close, instead of on the console. */
public final class CapturedLog implements AutoCloseable {
  private static final Logger LOGGER = Logger.getLogger("org.cdmalloc");

  private final List<LogRecord> records = new CopyOnWriteArrayList<>();

  /** A permit per line. */
  private final Semaphore lines = new Semaphore(0);

  private final Handler handler =
      new Handler() {
        @Override
        public void publish(LogRecord record) {
          records.add(record);
          lines.release();
        }

        @Override
        public void flush() {}

        @Override
        public void close() {}
      };

  /** Begins to capture. */
  public CapturedLog() {
    LOGGER.addHandler(handler);
    LOGGER.setUseParentHandlers(false);
  }

  /**
   * Returns the lines so far that have a text in them.
   *
   * @param text part of a line
   * @return the whole lines
   */
  public List<String> lines(String text) {
    return records.stream()
        .map(
            record ->
                new MessageFormat(record.getMessage(), Locale.ROOT).format(record.getParameters()))
        .filter(line -> line.contains(text))
        .toList();
  }

  /**
   * Waits for a line.
   *
   * @param text part of it
   * @throws InterruptedException if the thread is interrupted meanwhile
   */
  public void await(String text) throws InterruptedException {
    while (lines(text).isEmpty()) {
      lines.acquire();
    }
  }

  @Override
  public void close() {
    LOGGER.removeHandler(handler);
    LOGGER.setUseParentHandlers(true);
  }
}
