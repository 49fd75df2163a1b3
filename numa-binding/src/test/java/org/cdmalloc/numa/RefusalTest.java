/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.jna.Platform;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.cdmalloc.numa.ChildJvm.End;
import org.cdmalloc.spi.Diagnosis;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/**
 * What a user reads where a host refuses something, word for word: each section of {@code
 * refusals.txt} is what a process prints that met the refusal for real. Implicit requests go on,
 * requests that name a node say what blocks them and what lifts it.
 */
final class RefusalTest {
  private static final Path SEEN = Path.of("target", "refusals");

  @TempDir Path folder;

  @TestFactory
  Stream<DynamicTest> seccompProfiles() {
    return Stream.of("docker", "docker-sys-nice", "podman", "hidden", "linux-5.10")
        .map(
            profile ->
                DynamicTest.dynamicTest(
                    profile, () -> check(profile, run(new ChildJvm(), profile))));
  }

  @Test
  void jnaIsMissing() throws IOException {
    check("jna-missing", run(new ChildJvm().without("jna-")));
  }

  @Test
  void theFolderOfJnaForbidsExecution() throws IOException {
    ChildJvm child =
        mounted("mount -t tmpfs -o noexec none " + folder).with("-Djna.tmpdir=" + folder);
    String seen = run(child).replace(folder.toString(), "FOLDER");
    check("jna-noexec", seen.replaceAll("jna\\d+", "jna1"));
  }

  @Test
  void theFolderOfJnaCannotBeWritten() throws IOException {
    ChildJvm child = mounted("mount -t tmpfs -o ro none " + folder).with("-Djna.tmpdir=" + folder);
    check("jna-read-only", run(child).replace(folder.toString(), "FOLDER"));
  }

  @Test
  void sysfsIsHidden() throws IOException {
    check("no-sysfs", run(mounted("mount -t tmpfs none /sys")));
  }

  @Test
  void sysfsIsHiddenAndCallsAreRefused() throws IOException {
    check("no-sysfs-docker", run(mounted("mount -t tmpfs none /sys"), "docker"));
  }

  @TestFactory
  Stream<DynamicTest> otherPlatforms() {
    List<DynamicTest> tests = new ArrayList<>();
    tests.add(
        DynamicTest.dynamicTest(
            "architecture",
            () -> check("architecture", run(new ChildJvm().with("-Dos.arch=sparcv9")))));
    if (Runtime.version().feature() >= 24) {
      tests.add(
          DynamicTest.dynamicTest(
              "native access denied",
              () ->
                  check(
                      "native-access-denied",
                      run(new ChildJvm().with("--illegal-native-access=deny"))
                          .replaceAll("\\(file:[^)]*\\)", "(file:jna.jar)"))));
    }
    return tests.stream();
  }

  /** What cannot be brought about here, from what is known of it. */
  @TestFactory
  Stream<DynamicTest> wordsForOtherHosts() throws IOException {
    Map<String, String> words = new LinkedHashMap<>();
    words.put("security-module", new Refusal(false, true).ofBinding(Errno.EACCES));
    words.put("sandbox", new Refusal(false, true).ofBinding(Errno.ENOSYS));
    words.put("no-numa", new Refusal(false, false).ofBinding(Errno.ENOSYS));
    words.put("unexpected", new Refusal(true, true).ofBinding(Errno.EFAULT));
    words.put("nothing-tells", findings(new Silent(), List.of()));
    words.put("cpuset", findings(new Permissive(), List.of("Mems_allowed_list:\t0,2")));
    words.put("hidden-nodes", Refusal.ofHiddenNodes(NodeMask.of(0, 1), Path.of("/sys")));
    words.put(
        "musl",
        JnaFault.words(
            new UnsatisfiedLinkError(
                "Error loading shared library ld-linux-x86-64.so.2: No such file or directory"
                    + " (needed by FOLDER/jna1.tmp)")));
    words.put(
        "jna-older",
        JnaFault.words(
            new ExceptionInInitializerError(
                new Error(
                    """


                    There is an incompatible JNA native library installed on this system
                    Expected: 7.0.0
                    Found:    5.2.2
                    """))));
    words.put("jna-unknown", JnaFault.words(new UnsatisfiedLinkError("cannot open shared object")));
    return words.entrySet().stream()
        .map(
            entry ->
                DynamicTest.dynamicTest(
                    entry.getKey(), () -> check(entry.getKey(), entry.getValue() + "\n")));
  }

  /** Permits all, whatever nodes it is asked for. */
  private static class Permissive extends Kernel {
    Permissive() {
      super(SystemCalls.of(System.getProperty("os.arch")).orElseThrow());
    }

    @Override
    int setPolicy(long address, long bytes, int mode, NodeMask nodes, int flags) {
      return 0;
    }

    @Override
    int queryPages(long address, int pageBytes, int[] status) {
      return 0;
    }
  }

  /** Tells of no page where it lies: built without CONFIG_NUMA, say, but for mbind(2). */
  private static final class Silent extends Permissive {
    @Override
    int queryPages(long address, int pageBytes, int[] status) {
      return Errno.ENOSYS;
    }

    @Override
    int nodeOfPage(long address) {
      return -Errno.ENOSYS;
    }

    @Override
    NumaMaps numaMaps() {
      return NumaMaps.of(List.of());
    }
  }

  private static LinuxSource open(
      Kernel kernel, Machine host, boolean hasNodes, List<String> status) throws IOException {
    Path file = Files.createTempFile("status", "");
    try {
      Files.write(file, status);
      return LinuxSourceProvider.open(
          kernel, host, KeyedText.of(file), new Refusal(false, hasNodes));
    } finally {
      Files.delete(file);
    }
  }

  private static Machine ofFourNodes() {
    return Machine.builder()
        .node(Node.of(0, "0-3", 1L << 30))
        .node(Node.of(1, "4-7", 1L << 30))
        .node(Node.of(2, "", 1L << 30))
        .node(Node.of(3, "", 1L << 30))
        .build();
  }

  private static String findings(Kernel kernel, List<String> status) throws IOException {
    return String.join("\n", open(kernel, ofFourNodes(), true, status).diagnosis().findings());
  }

  @Test
  void onlyNodesThatTheCpusetAllowsAreOffered() throws IOException {
    LinuxSource source =
        open(new Permissive(), ofFourNodes(), true, List.of("Mems_allowed_list:\t0,2"));
    assertEquals(NodeMask.of(0, 2), source.machine().withMemory());
    assertEquals(NodeMask.of(0, 1), source.machine().withCpus());
    assertTrue(source.diagnosis().binds());
    assertThrows(IllegalArgumentException.class, () -> source.reserve(1, 1 << 20));
    LinuxSource whole = open(new Permissive(), ofFourNodes(), true, List.of());
    assertEquals(NodeMask.of(0, 1, 2, 3), whole.machine().withMemory());
    assertEquals(List.of(), whole.diagnosis().findings());
  }

  @Test
  void nothingIsBoundWhereSeveralNodesAreHidden() throws IOException {
    Machine one = Machine.builder().node(Node.of(0, "0-3", 4L << 30)).build();
    Diagnosis hidden =
        open(new Permissive(), one, false, List.of("Mems_allowed_list:\t0-1")).diagnosis();
    assertFalse(hidden.binds());
    assertEquals(Refusal.ofHiddenNodes(NodeMask.of(0, 1), Machine.SYSFS), hidden.findings().get(0));
    // One node that is hidden can be no other than the one that memory comes from.
    Diagnosis single =
        open(new Permissive(), one, false, List.of("Mems_allowed_list:\t0")).diagnosis();
    assertTrue(single.binds());
    assertEquals(1, single.findings().size());
  }

  @Test
  void noPlacementIsPromisedWhereNothingTellsOfIt() throws IOException {
    assertFalse(open(new Silent(), ofFourNodes(), true, List.of()).diagnosis().binds());
  }

  @Test
  void whatTheDocumentationQuotesIsWhatIsPrinted() throws IOException {
    String page = Files.readString(Path.of("..", "docs", "containers.md"));
    List<String> quoted =
        page.lines().filter(line -> line.matches("(logged|onNode\\(0\\)|open): .*")).toList();
    assertEquals(3, quoted.size());
    String printed = String.join("", golden().values());
    quoted.forEach(line -> assertTrue(printed.contains(line + "\n"), line));
  }

  /** A JVM in a mount namespace of its own, where a command prepared the mounts. */
  private static ChildJvm mounted(String command) throws IOException {
    List<String> unshare = new ArrayList<>(List.of("unshare", "--mount"));
    if (!System.getProperty("user.name").equals("root")) {
      unshare.add("--map-root-user");
    }
    List<String> trial = new ArrayList<>(unshare);
    trial.add("true");
    ThisHost.assumeRight(ends(trial), "this host lets nobody make mount namespaces: " + trial);
    unshare.addAll(List.of("sh", "-c", command + " && exec \"$@\"", "sh"));
    return new ChildJvm().through(unshare.toArray(String[]::new));
  }

  private static boolean ends(List<String> command) throws IOException {
    Process process =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .start();
    return process.onExit().join().exitValue() == 0;
  }

  private static String run(ChildJvm child, String... arguments) {
    End end = child.run(RefusalStory.class, arguments);
    assertEquals(0, end.exitCode(), end.text());
    return asOnNode0(end.text());
  }

  /** The texts are those of a host of another architecture, with other pages, on another node. */
  private static String asOnNode0(String text) {
    int node = FirstNode.id();
    int pages = RefusalStory.BLOCK_BYTES / ThisHost.KERNEL.pageBytes();
    return text.replace(pages + " pages on node " + node, "1024 pages on node 0")
        .replace("onNode(" + node + ")", "onNode(0)")
        .replace("placement=on node " + node + ", node=" + node, "placement=on node 0, node=0")
        .replace('/' + Platform.RESOURCE_PREFIX + '/', "/PLATFORM/");
  }

  /** Compares with the golden section; what was seen is left beside it for whoever changes it. */
  private static void check(String section, String seen) throws IOException {
    Files.createDirectories(SEEN);
    Files.writeString(SEEN.resolve(section), seen);
    assertEquals(golden().get(section), seen, () -> "section=" + section);
  }

  private static Map<String, String> golden() throws IOException {
    Map<String, String> sections = new LinkedHashMap<>();
    try (InputStream in = RefusalTest.class.getResourceAsStream("/refusals.txt")) {
      String text = new String(in.readAllBytes(), StandardCharsets.UTF_8);
      String[] parts = text.split("(?m)^== ", -1);
      for (int i = 1; i < parts.length; i++) {
        int title = parts[i].indexOf('\n');
        String name = parts[i].substring(0, title).strip();
        sections.put(name, parts[i].substring(title + 1).stripTrailing() + "\n");
      }
    }
    return sections;
  }
}
