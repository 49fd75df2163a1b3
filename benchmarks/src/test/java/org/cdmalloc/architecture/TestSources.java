/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.architecture;

import com.sun.source.tree.AnnotationTree;
import com.sun.source.tree.ClassTree;
import com.sun.source.tree.CompilationUnitTree;
import com.sun.source.tree.MethodTree;
import com.sun.source.tree.Tree;
import com.sun.source.util.JavacTask;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;

/**
 * The test classes of all modules as the compiler's parser reads them: which of their methods are
 * tests, and what they extend. A class is found by its simple name, which two modules may share.
 * Nested classes are not looked at.
 */
final class TestSources {
  private static final Set<String> TEST_ANNOTATIONS =
      Set.of("Test", "ParameterizedTest", "RepeatedTest", "TestFactory", "TestTemplate");

  private final Map<String, List<Path>> files = new HashMap<>();
  private final Map<Path, TestClass> parsed = new HashMap<>();

  private record TestClass(String parent, Set<String> tests) {}

  /** Finds the sources in the {@code src/test/java} of every module below a folder. */
  static TestSources below(Path root) throws IOException {
    TestSources sources = new TestSources();
    try (Stream<Path> all = Files.walk(root)) {
      all.filter(file -> file.toString().matches(".*/src/test/java/.*/\\w+\\.java"))
          .forEach(
              file ->
                  sources
                      .files
                      .computeIfAbsent(simpleName(file), name -> new ArrayList<>())
                      .add(file));
    }
    return sources;
  }

  /** Tells whether a class, or one that it extends, has a test of this name. */
  boolean hasTest(String type, String method) {
    for (Path file : files.getOrDefault(type, List.of())) {
      TestClass found = parsed.computeIfAbsent(file, TestSources::parse);
      if (found.tests.contains(method) || hasTest(found.parent, method)) {
        return true;
      }
    }
    return false;
  }

  private static String simpleName(Path file) {
    return file.getFileName().toString().replace(".java", "");
  }

  private static TestClass parse(Path file) {
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    try (StandardJavaFileManager manager = compiler.getStandardFileManager(null, null, null)) {
      JavacTask task =
          (JavacTask)
              compiler.getTask(
                  null, manager, null, null, null, manager.getJavaFileObjects(file.toFile()));
      for (CompilationUnitTree unit : task.parse()) {
        for (Tree type : unit.getTypeDecls()) {
          if (type instanceof ClassTree declared
              && declared.getSimpleName().contentEquals(simpleName(file))) {
            return testClass(declared);
          }
        }
      }
    } catch (IOException failure) {
      throw new UncheckedIOException(failure);
    }
    throw new AssertionError("a file without the class of its name: " + file);
  }

  private static TestClass testClass(ClassTree declared) {
    Set<String> tests = new HashSet<>();
    for (Tree member : declared.getMembers()) {
      if (member instanceof MethodTree method
          && method.getModifiers().getAnnotations().stream().anyMatch(TestSources::makesATest)) {
        tests.add(method.getName().toString());
      }
    }
    Tree parent = declared.getExtendsClause();
    return new TestClass(parent == null ? "" : parent.toString(), tests);
  }

  private static boolean makesATest(AnnotationTree annotation) {
    return TEST_ANNOTATIONS.contains(annotation.getAnnotationType().toString());
  }
}
