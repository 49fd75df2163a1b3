/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.architecture;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Predicate;
import org.jacoco.core.analysis.Analyzer;
import org.jacoco.core.analysis.CoverageBuilder;
import org.jacoco.core.analysis.IClassCoverage;
import org.jacoco.core.analysis.ILine;
import org.jacoco.core.data.ExecutionData;
import org.jacoco.core.data.ExecutionDataStore;
import org.objectweb.asm.ClassReader;
import org.objectweb.asm.ClassVisitor;
import org.objectweb.asm.ClassWriter;
import org.objectweb.asm.MethodVisitor;
import org.objectweb.asm.Opcodes;

/** Which branches of which classes of the core were executed. */
final class ExecutedCode {
  private static final int UTF8_TAG = 1;

  private final Map<String, boolean[]> probesByClass = new TreeMap<>();
  private final Map<String, IClassCoverage> linesByClass = new TreeMap<>();
  private final Map<String, byte[]> classFiles;

  /**
   * Reads what was recorded.
   *
   * @param executed the probes that were passed
   * @param classFiles the classes without probes, by name
   */
  ExecutedCode(ExecutionDataStore executed, Map<String, byte[]> classFiles) throws IOException {
    this.classFiles = classFiles;
    CoverageBuilder lines = new CoverageBuilder();
    Analyzer analyzer = new Analyzer(executed, lines);
    for (ExecutionData data : executed.getContents()) {
      if (data.hasHits()) {
        String name = data.getName().replace('/', '.');
        probesByClass.put(name, data.getProbes().clone());
        analyzer.analyzeClass(classFiles.get(name), name);
      }
    }
    lines.getClasses().forEach(type -> linesByClass.put(type.getName().replace('/', '.'), type));
  }

  /** Returns the names of the classes of which something was executed. */
  Set<String> classes() {
    return probesByClass.keySet();
  }

  /** Returns where another execution took branches that this one did not take. */
  List<String> branchesOnlyIn(ExecutedCode other, Predicate<String> classes) {
    List<String> places = new ArrayList<>();
    other.probesByClass.forEach(
        (name, probes) -> {
          boolean[] own = probesByClass.getOrDefault(name, new boolean[probes.length]);
          for (int i = 0; i < probes.length; i++) {
            if (classes.test(name) && probes[i] && !own[i]) {
              places.add(name + ", lines " + linesUnlike(other, name) + ", probe " + i);
            }
          }
        });
    return places;
  }

  private List<Integer> linesUnlike(ExecutedCode other, String name) {
    IClassCoverage own = linesByClass.get(name);
    IClassCoverage others = other.linesByClass.get(name);
    List<Integer> lines = new ArrayList<>();
    for (int line = others.getFirstLine(); line <= others.getLastLine(); line++) {
      if (own == null ? isExecuted(others.getLine(line)) : !same(own, others, line)) {
        lines.add(line);
      }
    }
    return lines;
  }

  private static boolean isExecuted(ILine line) {
    return line.getInstructionCounter().getCoveredCount() > 0;
  }

  private static boolean same(IClassCoverage one, IClassCoverage other, int line) {
    return one.getLine(line)
            .getInstructionCounter()
            .equals(other.getLine(line).getInstructionCounter())
        && one.getLine(line).getBranchCounter().equals(other.getLine(line).getBranchCounter());
  }

  /** Returns all constants of an executed class: its own name, and every name and text in it. */
  Set<String> constants(String name) {
    return constantsOf(classFiles.get(name));
  }

  /** Returns the constants to which those methods of a class refer that were executed. */
  Set<String> executedConstants(String name) {
    Set<String> executed = new HashSet<>();
    IClassCoverage lines = linesByClass.get(name);
    if (lines != null) {
      lines.getMethods().stream()
          .filter(method -> method.getInstructionCounter().getCoveredCount() > 0)
          .forEach(method -> executed.add(method.getName() + method.getDesc()));
    }
    ClassWriter writer = new ClassWriter(0);
    new ClassReader(classFiles.get(name)).accept(new Cut(writer, executed), 0);
    return constantsOf(writer.toByteArray());
  }

  private static Set<String> constantsOf(byte[] classFile) {
    ClassReader reader = new ClassReader(classFile);
    Set<String> texts = new TreeSet<>();
    for (int i = 1; i < reader.getItemCount(); i++) {
      int offset = reader.getItem(i);
      // The second half of a long has none.
      if (offset != 0 && reader.readByte(offset - 1) == UTF8_TAG) {
        int start = offset + 2;
        int end = start + reader.readUnsignedShort(offset);
        texts.add(new String(Arrays.copyOfRange(classFile, start, end), UTF_8));
      }
    }
    return texts;
  }

  /** A class with some of its methods only. */
  private static final class Cut extends ClassVisitor {
    private final ClassWriter writer;
    private final Set<String> methods;

    Cut(ClassWriter writer, Set<String> methods) {
      super(Opcodes.ASM9);
      this.writer = writer;
      this.methods = methods;
    }

    @Override
    public void visit(
        int version,
        int access,
        String name,
        String signature,
        String superName,
        String[] interfaces) {
      writer.visit(version, access, name, signature, superName, interfaces);
    }

    @Override
    public MethodVisitor visitMethod(
        int access, String name, String descriptor, String signature, String[] exceptions) {
      return methods.contains(name + descriptor)
          ? writer.visitMethod(access, name, descriptor, signature, exceptions)
          : null;
    }
  }
}
