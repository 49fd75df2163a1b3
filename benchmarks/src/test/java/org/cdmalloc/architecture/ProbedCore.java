/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.architecture;

import java.io.IOException;
import java.io.InputStream;
import java.lang.reflect.Constructor;
import java.net.URL;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.cdmalloc.NodeAllocator;
import org.jacoco.core.data.ExecutionDataStore;
import org.jacoco.core.data.SessionInfoStore;
import org.jacoco.core.instr.Instrumenter;
import org.jacoco.core.runtime.LoggerRuntime;
import org.jacoco.core.runtime.RuntimeData;

/**
 * Loads this project's classes anew, those of the core with a probe in each branch, so that what a
 * scenario executes is known. A loader per scenario: nothing static is left over from another one.
 */
final class ProbedCore extends ClassLoader {
  private static final String PROJECT = "org.cdmalloc.";

  /** Where the core's classes come from, a folder or a jar; its tests come from another one. */
  private static final String CORE =
      NodeAllocator.class.getProtectionDomain().getCodeSource().getLocation().toString();

  static {
    registerAsParallelCapable();
  }

  private final Instrumenter instrumenter;
  private final Map<String, byte[]> classFiles = new ConcurrentHashMap<>();

  private ProbedCore(LoggerRuntime runtime) {
    super(ProbedCore.class.getClassLoader());
    this.instrumenter = new Instrumenter(runtime);
  }

  /**
   * Runs a scenario.
   *
   * @param type its class; one constructor takes the arguments
   * @param arguments of types of the JDK
   * @return what of the core its {@link Scenario#run} executed
   */
  static ExecutedCode execute(Class<? extends Scenario> type, Object... arguments)
      throws Exception {
    LoggerRuntime runtime = new LoggerRuntime();
    RuntimeData data = new RuntimeData();
    runtime.startup(data);
    ProbedCore core = new ProbedCore(runtime);
    Constructor<?> constructor = core.loadClass(type.getName()).getDeclaredConstructors()[0];
    constructor.setAccessible(true);
    try (Scenario scenario = (Scenario) constructor.newInstance(arguments)) {
      scenario.prepare();
      data.reset();
      scenario.run();
      ExecutionDataStore executed = new ExecutionDataStore();
      data.collect(executed, new SessionInfoStore(), false);
      return new ExecutedCode(executed, core.classFiles);
    } finally {
      runtime.shutdown();
    }
  }

  @Override
  protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
    if (!name.startsWith(PROJECT) || name.equals(Scenario.class.getName())) {
      return super.loadClass(name, resolve);
    }
    synchronized (getClassLoadingLock(name)) {
      Class<?> loaded = findLoadedClass(name);
      return loaded == null ? findClass(name) : loaded;
    }
  }

  @Override
  protected Class<?> findClass(String name) throws ClassNotFoundException {
    URL file = getResource(name.replace('.', '/') + ".class");
    if (file == null) {
      throw new ClassNotFoundException(name);
    }
    try (InputStream content = file.openStream()) {
      byte[] bytes = content.readAllBytes();
      if (file.toString().contains(CORE)) {
        classFiles.put(name, bytes);
        bytes = instrumenter.instrument(bytes, name);
      }
      return defineClass(name, bytes, 0, bytes.length);
    } catch (IOException e) {
      throw new ClassNotFoundException(name, e);
    }
  }
}
