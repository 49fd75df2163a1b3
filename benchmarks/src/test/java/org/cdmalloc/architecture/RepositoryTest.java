/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.architecture;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.BiConsumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.w3c.dom.Element;
import org.w3c.dom.Node;
import org.w3c.dom.NodeList;

/**
 * Holds what no compiler sees: files, marks left behind, links, lists that must be complete. Reads
 * what git would commit or, without a {@code .git}, everything outside of {@code target}; a git
 * that fails is a failure.
 */
class RepositoryTest {
  private static final int MAX_FILE_BYTES = 200_000;
  private static final String SPDX = "/* SPDX-License-Identifier: Apache-2.0 */";

  /** The group that a plugin has when its pom names none. */
  private static final String MAVEN_PLUGINS = "org.apache.maven.plugins";

  /** Written in pieces, because this file is read too. */
  private static final Pattern LEFT_BEHIND =
      Pattern.compile("\\b(FIX" + "ME|TO" + "DO|XX" + "X)\\b");

  private static final Pattern ONLY_HERE =
      Pattern.compile("(\\.\\./sha" + "red\\b|(?<![\\w.}])/wo" + "rk/)");

  private static final Pattern LINK = Pattern.compile("\\]\\(([^)\\s]+)[^)]*\\)");
  private static final Pattern LOGGER = Pattern.compile("getLogger\\(\\s*([^)]*?)\\s*\\)");

  /** The folder of each module's classes, so that a class's package tells its module. */
  private static final Map<String, List<String>> PACKAGES_OF_MODULES =
      Map.of(
          "allocator-core",
          List.of("org/cdmalloc", "org/cdmalloc/(topology|spi)", "org/cdmalloc/internal/[a-z]+"),
          "numa-binding",
          List.of("org/cdmalloc/numa(/.*)?"),
          "native-stubs",
          List.of("org/cdmalloc/stubs(/.*)?"),
          "benchmarks",
          List.of("org/cdmalloc/benchmarks(/.*)?"),
          "peers",
          List.of("org/cdmalloc/peers"));

  private static Path root;
  private static Map<String, byte[]> files;

  @BeforeAll
  static void readTheRepository() throws IOException, InterruptedException {
    root = Path.of("").toAbsolutePath();
    while (!Files.isDirectory(root.resolve(".mvn"))) {
      root = root.getParent();
      assertTrue(root != null, "no folder above has .mvn: start=" + Path.of("").toAbsolutePath());
    }
    files = new TreeMap<>();
    for (String name : Files.exists(root.resolve(".git")) ? namesFromGit() : namesFromDisk()) {
      Path file = root.resolve(name);
      if (Files.isRegularFile(file)) {
        files.put(name, Files.readAllBytes(file));
      }
    }
    String self = "benchmarks/src/test/java/org/cdmalloc/architecture/RepositoryTest.java";
    assertTrue(files.containsKey(self), "the list of files lacks " + self + ": " + files.keySet());
  }

  @Test
  void nothingIsLeftToDo() {
    assertNoMatch(LEFT_BEHIND);
  }

  @Test
  void nothingPointsOutsideTheRepository() {
    assertNoMatch(ONLY_HERE);
  }

  @Test
  void filesAreTextExceptPicturesOfTheDocuments() {
    List<String> binary = new ArrayList<>();
    files.forEach(
        (name, bytes) -> {
          if (!isPicture(name) && !isText(bytes)) {
            binary.add(name);
          }
        });
    assertNone("not UTF-8 text", binary);
  }

  @Test
  void filesAreSmall() {
    List<String> large = new ArrayList<>();
    files.forEach(
        (name, bytes) -> {
          if (bytes.length > MAX_FILE_BYTES) {
            large.add(name + ": bytes=" + bytes.length + ", limit=" + MAX_FILE_BYTES);
          }
        });
    assertNone("large files", large);
  }

  @Test
  void javaFilesBeginWithTheirLicenceAndHaveNoTabs() {
    List<String> wrong = new ArrayList<>();
    forEachText(
        ".*\\.java",
        (name, text) -> {
          if (!text.startsWith(SPDX + "\n")) {
            wrong.add(name + ": first line is not " + SPDX);
          }
          if (text.indexOf('\t') >= 0) {
            wrong.add(name + ": has a tab");
          }
        });
    assertNone("Java files", wrong);
  }

  @Test
  void packagesSayWhatTheyAreFor() {
    List<String> wrong = new ArrayList<>();
    forEachText(
        ".*/src/main/java/.*\\.java",
        (name, text) -> {
          String page = folder(name) + "/package-info.java";
          if (!files.containsKey(page)) {
            wrong.add(page + ": missing, wanted by " + name);
          }
        });
    assertNone("packages", wrong);
  }

  @Test
  void packagesTellTheirModule() {
    List<String> wrong = new ArrayList<>();
    Pattern place = Pattern.compile("([^/]+)/src/main/java/(.*)/[^/]+\\.java");
    forEachText(
        ".*/src/main/java/.*\\.java",
        (name, text) -> {
          Matcher parts = place.matcher(name);
          boolean known =
              parts.matches()
                  && PACKAGES_OF_MODULES.getOrDefault(parts.group(1), List.of()).stream()
                      .anyMatch(parts.group(2)::matches);
          if (!known) {
            wrong.add(name);
          }
        });
    assertNone("files in a package of another module", wrong);
  }

  /**
   * One class of the core, and on JDK 17 the loops that are to take as long as in C. What cdmalloc
   * is compared with may be best with it.
   */
  @Test
  void unsafeIsNamedInTwoClasses() {
    List<String> doors = new ArrayList<>();
    forEachText(
        "(?!peers/).*/src/main/java/.*\\.java",
        (name, text) -> {
          if (text.contains("misc.Unsafe\"")) {
            doors.add(name);
          }
        });
    assertEquals(
        List.of(
            "allocator-core/src/main/java/org/cdmalloc/internal/address/BufferAddress.java",
            "benchmarks/src/main/java/org/cdmalloc/benchmarks/locality/RawMemory.java"),
        doors,
        "classes that name Unsafe");
  }

  @Test
  void loggersHaveOneName() {
    List<String> wrong = new ArrayList<>();
    forEachText(
        ".*/src/main/java/.*\\.java",
        (name, text) -> {
          Matcher call = LOGGER.matcher(text);
          while (call.find()) {
            if (!call.group(1).equals("\"org.cdmalloc\"")) {
              wrong.add(name + ": " + call.group());
            }
          }
        });
    assertNone("loggers", wrong);
  }

  @Test
  void decisionsAreListed() {
    String list = text("docs/adr/README.md");
    List<String> missing = new ArrayList<>();
    forEachText(
        "docs/adr/(?!README).*\\.md",
        (name, text) -> {
          if (!list.contains("(" + name.substring("docs/adr/".length()) + ")")) {
            missing.add(name);
          }
        });
    assertNone("not linked in docs/adr/README.md", missing);
  }

  @Test
  void dependenciesAreListedWithTheirReason() throws Exception {
    String page = text("docs/dependencies.md");
    List<String> missing = new ArrayList<>();
    for (String pom : files.keySet()) {
      if (pom.equals("pom.xml") || pom.endsWith("/pom.xml")) {
        for (String dependency : dependenciesOf(files.get(pom))) {
          String brief = dependency.replace(MAVEN_PLUGINS + ":", "");
          if (!page.contains("`" + dependency + "`") && !page.contains("`" + brief + "`")) {
            missing.add(dependency + " of " + pom);
          }
        }
      }
    }
    assertNone("not named in docs/dependencies.md", missing);
  }

  @Test
  void markdownPagesHaveOneTitle() {
    List<String> wrong = new ArrayList<>();
    forEachText(
        ".*\\.md",
        (name, text) -> {
          long titles = prose(text).lines().filter(line -> line.startsWith("# ")).count();
          if (titles != 1) {
            wrong.add(name + ": titles=" + titles);
          }
        });
    assertNone("pages without exactly one title", wrong);
  }

  @Test
  void markdownLinksLeadSomewhere() {
    List<String> broken = new ArrayList<>();
    forEachText(
        ".*\\.md",
        (name, text) -> {
          Matcher link = LINK.matcher(prose(text));
          while (link.find()) {
            String target = link.group(1);
            if (!target.matches("[a-z]+:.*") && !exists(name, target)) {
              broken.add(name + " -> " + target);
            }
          }
        });
    assertNone("broken links", broken);
  }

  private static boolean exists(String page, String target) {
    String[] parts = target.split("#", 2);
    String name = page;
    if (!parts[0].isEmpty()) {
      Path file = Path.of("/").resolve(folder(page)).resolve(parts[0]);
      if (Path.of(folder(page)).resolve(parts[0]).normalize().startsWith("..")) {
        return false;
      }
      name = file.normalize().toString().substring(1);
    }
    String inside = name + "/";
    if (name.isEmpty() || files.keySet().stream().anyMatch(other -> other.startsWith(inside))) {
      return parts.length == 1;
    }
    return files.containsKey(name) && (parts.length == 1 || anchors(name).contains(parts[1]));
  }

  /** The anchors that GitHub makes: lower case, blanks to hyphens, no punctuation. */
  private static List<String> anchors(String page) {
    return prose(text(page))
        .lines()
        .filter(line -> line.matches("#{1,6} .*"))
        .map(line -> line.replaceFirst("#+ ", "").strip().toLowerCase(Locale.ROOT))
        .map(line -> line.replaceAll("[^\\p{L}\\p{N} _-]", "").replace(' ', '-'))
        .toList();
  }

  /** The text without its blocks of code. */
  private static String prose(String markdown) {
    return markdown.replaceAll("(?ms)^ *(```|~~~).*?^ *\\1 *$", "").replaceAll("`[^`\n]*`", "");
  }

  private static Set<String> dependenciesOf(byte[] pom) throws Exception {
    DocumentBuilderFactory factory = DocumentBuilderFactory.newDefaultInstance();
    factory.setFeature("http://apache.org/xml/features/disallow-doctype-decl", true);
    Set<String> found = new TreeSet<>();
    NodeList elements =
        factory
            .newDocumentBuilder()
            .parse(new ByteArrayInputStream(pom))
            .getElementsByTagName("artifactId");
    for (int i = 0; i < elements.getLength(); i++) {
      Element parent = (Element) elements.item(i).getParentNode();
      NodeList groups = parent.getElementsByTagName("groupId");
      boolean plugin = parent.getTagName().equals("plugin");
      String group =
          plugin && !isChild(parent, groups.item(0))
              ? MAVEN_PLUGINS
              : groups.item(0).getTextContent().strip();
      if (!group.equals("org.cdmalloc")) {
        found.add(group + ":" + elements.item(i).getTextContent().strip());
      }
    }
    return found;
  }

  private static boolean isChild(Element parent, Node child) {
    return child != null && child.getParentNode() == parent;
  }

  private static List<String> namesFromGit() throws IOException, InterruptedException {
    Process git =
        new ProcessBuilder(
                "git",
                "-c",
                "safe.directory=*",
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard")
            .directory(root.toFile())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    try (InputStream names = git.getInputStream()) {
      String output = new String(names.readAllBytes(), UTF_8);
      assertEquals(0, git.waitFor(), "git ls-files failed: folder=" + root);
      return Arrays.asList(output.split("\0"));
    }
  }

  private static List<String> namesFromDisk() throws IOException {
    try (Stream<Path> all = Files.walk(root)) {
      return all.map(root::relativize)
          .filter(
              path ->
                  Stream.of(path.toString().split("/")).noneMatch(part -> part.equals("target")))
          .map(Path::toString)
          .toList();
    }
  }

  private static void forEachText(String names, BiConsumer<String, String> action) {
    int visited = 0;
    for (Map.Entry<String, byte[]> file : files.entrySet()) {
      if (file.getKey().matches(names)) {
        visited++;
        action.accept(file.getKey(), new String(file.getValue(), UTF_8));
      }
    }
    assertTrue(visited > 0, "no file is called " + names);
  }

  private static void assertNoMatch(Pattern pattern) {
    List<String> found = new ArrayList<>();
    files.forEach(
        (name, bytes) -> {
          if (isPicture(name)) {
            return;
          }
          int number = 0;
          for (String line : new String(bytes, UTF_8).split("\n", -1)) {
            number++;
            if (pattern.matcher(line).find()) {
              found.add(name + ":" + number + ": " + line.strip());
            }
          }
        });
    assertNone("lines with " + pattern, found);
  }

  private static void assertNone(String what, List<String> found) {
    if (!found.isEmpty()) {
      fail(what + ":\n" + String.join("\n", found));
    }
  }

  private static String text(String name) {
    assertTrue(files.containsKey(name), "missing: " + name);
    return new String(files.get(name), UTF_8);
  }

  private static String folder(String name) {
    int slash = name.lastIndexOf('/');
    return slash < 0 ? "" : name.substring(0, slash);
  }

  private static boolean isPicture(String name) {
    return name.matches("docs/.*\\.png");
  }

  private static boolean isText(byte[] bytes) {
    try {
      return UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).chars().noneMatch(c -> c == 0);
    } catch (CharacterCodingException e) {
      return false;
    }
  }
}
