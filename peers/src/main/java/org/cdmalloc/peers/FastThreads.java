/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import io.netty.util.concurrent.FastThreadLocalThread;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The threads of every fork, whatever the peer: those on which Netty finds its caches fastest, and
 * gives thread caches at all. JMH makes it by name, {@code -Djmh.executor.class}.
 */
public final class FastThreads extends ThreadPoolExecutor {
  /**
   * As JMH calls it.
   *
   * @param threads how many
   * @param prefix of their names
   */
  public FastThreads(int threads, String prefix) {
    super(threads, threads, 0, TimeUnit.SECONDS, new LinkedBlockingQueue<>(), factory(prefix));
  }

  private static ThreadFactory factory(String prefix) {
    AtomicInteger started = new AtomicInteger();
    return task -> {
      Thread thread =
          new FastThreadLocalThread(task, prefix + "-worker-" + started.incrementAndGet());
      thread.setDaemon(true);
      return thread;
    };
  }
}
