/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.openjdk.jmh.profile.GCProfiler;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

/** Starts JVMs that measure, each one job with one peer. */
final class Fork {
  private static final int FIRST_JDK_WITH_UNSAFE_SWITCH = 24;
  private static final double MEDIAN = 50;
  private static final double TAIL = 99.9;

  /**
   * So much longer two threads warm up: on a host of two processors they leave none to the
   * compiler, and after a second some peers still run in code that is not its last.
   */
  static final int PATIENCE = 3;

  private final int warmups;
  private final int iterations;
  private final TimeValue time;

  Fork(int warmups, int iterations, int millis) {
    this.warmups = warmups;
    this.iterations = iterations;
    this.time = TimeValue.milliseconds(millis);
  }

  /**
   * Returns the arguments of each JVM: all that any of the peers wants for its best, so that all
   * run in the same JVM.
   *
   * @return a new list
   */
  static List<String> jvmArguments() {
    List<String> arguments =
        new ArrayList<>(
            List.of(
                "-Xms1g",
                "-Xmx1g",
                "-XX:+UseG1GC",
                "-XX:MaxDirectMemorySize=4g",
                "-Djmh.executor=CUSTOM",
                "-Djmh.executor.class=" + FastThreads.class.getName(),
                "--add-opens=java.base/java.nio=ALL-UNNAMED",
                "--add-opens=java.base/jdk.internal.misc=ALL-UNNAMED",
                "-Dio.netty.noUnsafe=false",
                "-Dio.netty.tryReflectionSetAccessible=true",
                "-Dio.netty.leakDetection.level=disabled",
                "-Darrow.enable_unsafe_memory_access=true",
                "-Darrow.memory.debug.allocator=false",
                "-Dorg.lwjgl.util.NoChecks=true",
                "-Dslf4j.internal.verbosity=ERROR"));
    if (Runtime.version().feature() >= FIRST_JDK_WITH_UNSAFE_SWITCH) {
      arguments.add("--enable-native-access=ALL-UNNAMED");
      arguments.add("--sun-misc-unsafe-memory-access=allow");
    }
    return arguments;
  }

  /**
   * Measures.
   *
   * @param job what to do
   * @param peer with which peer
   * @return what was found
   * @throws RunnerException if the JVM ended early, or the peer threw something
   */
  Sample measure(Job job, String peer) throws RunnerException {
    ChainedOptionsBuilder options =
        new OptionsBuilder()
            .include("^org\\.cdmalloc\\.peers\\." + job.work().method.replace(".", "\\.") + "$")
            .param("peer", peer)
            .param("size", job.size())
            .threads(job.threads())
            .forks(1)
            .warmupIterations(warmups(warmups, job.threads()))
            .warmupTime(time)
            .measurementIterations(iterations)
            .measurementTime(time)
            .addProfiler(GCProfiler.class)
            .shouldFailOnError(true)
            .verbosity(VerboseMode.SILENT)
            .jvmArgs(jvmArguments().toArray(String[]::new));
    switch (job.work()) {
      case BATCH_RANDOM -> options.param("order", FreeOrder.RANDOM.name());
      case BATCH_FIFO -> options.param("order", FreeOrder.FIFO.name());
      case BATCH_LIFO -> options.param("order", FreeOrder.LIFO.name());
      default -> {}
    }
    Collection<RunResult> results = new Runner(options.build()).run();
    if (results.size() != 1) {
      throw new RunnerException("no result: benchmarks=" + results.size());
    }
    return sample(job.work(), results.iterator().next());
  }

  /** Returns how many iterations warm up, of those asked for. */
  static int warmups(int asked, int threads) {
    return threads == 1 ? asked : PATIENCE * asked;
  }

  private static Sample sample(Work work, RunResult result) {
    Map<String, ? extends Result<?>> others = secondary(result);
    Result<?> time = work == Work.HAND_OVER ? others.get("free") : result.getPrimaryResult();
    Result<?> garbage = others.get("gc.alloc.rate.norm");
    // JMH counts each side of a hand-over as an operation of its own.
    int operations = work == Work.HAND_OVER ? 2 : 1;
    return new Sample(
        time.getStatistics().getPercentile(MEDIAN),
        work.sampled() ? time.getStatistics().getPercentile(TAIL) : 0,
        garbage == null ? 0 : operations * garbage.getStatistics().getPercentile(MEDIAN));
  }

  @SuppressWarnings({"rawtypes", "unchecked"}) // JMH's own type is raw
  private static Map<String, ? extends Result<?>> secondary(RunResult result) {
    return (Map) result.getSecondaryResults();
  }
}
