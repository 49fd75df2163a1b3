/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BiFunction;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collector;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/**
 * Reads the calls of a {@link PolicyTable} and makes them, on 8 pages that are mapped afresh. For
 * one thread; a thread's policy must be put back afterwards.
 *
 * <pre>
 * set_mempolicy MODE[+FLAG…] MASK [maxnode=N]
 * mbind RANGE MODE[+FLAG…] MASK [STRICT+MOVE] [maxnode=N]
 * home_node RANGE NODE [flags=N]
 * get_mempolicy [FLAG…][@PAGE] [maxnode=N]
 * move_pages PAGES query|NODE [FLAG…]
 * touch PAGES    populate RANGE    dontneed RANGE    unmap RANGE
 * </pre>
 *
 * <p>PAGES are {@code 0}, {@code 0-3} or {@code 0,2}; a RANGE is pages in a row, or {@code
 * OFFSET:LENGTH} in bytes, or in pages with a {@code p}; they may be negative. A MASK is {@code
 * {0,absent}}, or {@code null} for no pointer. Node 0 stands for the first node with memory, {@code
 * absent} for the first number that is no node. {@code maxnode} is by default 1 more than the bits
 * of the words that the mask needs.
 */
final class PolicyScript {
  static final int PAGES = 8;

  private static final int MASK_WORDS = 1 << 10;

  private static final Pattern MAXNODE = Pattern.compile("maxnode=(-?\\d+)");

  private static final List<String> MODES =
      List.of(
          "DEFAULT",
          "PREFERRED",
          "BIND",
          "INTERLEAVE",
          "LOCAL",
          "PREFERRED_MANY",
          "WEIGHTED_INTERLEAVE",
          "MODE7");

  private static final Map<String, Integer> NUMBERS =
      Map.ofEntries(
          Map.entry("BALANCING", 1 << 13),
          Map.entry("RELATIVE", 1 << 14),
          Map.entry("STATIC", 1 << 15),
          Map.entry("STRICT", 1),
          Map.entry("MOVE", 2),
          Map.entry("MOVE_ALL", 4),
          Map.entry("LAZY", 8),
          Map.entry("NODE", 1),
          Map.entry("ADDR", 2),
          Map.entry("MEMS_ALLOWED", 4),
          Map.entry("none", 0));

  private static final Map<Integer, String> ERRORS =
      Map.of(
          1, "EPERM",
          2, "ENOENT",
          5, "EIO",
          12, "ENOMEM",
          14, "EFAULT",
          19, "ENODEV",
          22, "EINVAL",
          38, "ENOSYS",
          95, "EOPNOTSUPP");

  private final PolicyCalls calls;
  private final BiFunction<String, List<String>, String> more;
  private final Map<Integer, Integer> numbers;
  private final int page;
  private final int first;
  private final int absent;

  /**
   * Prepares scripts.
   *
   * @param calls the kernel
   * @param more makes the calls that this class does not know, from their name and arguments
   * @param numbers which node a number stands for, where not for the node of that number; relative
   *     numbers stand for themselves
   */
  PolicyScript(
      PolicyCalls calls,
      BiFunction<String, List<String>, String> more,
      Map<Integer, Integer> numbers) {
    this.calls = calls;
    this.more = more;
    this.numbers = numbers;
    this.page = calls.pageBytes();
    this.first = calls.withMemory().first();
    this.absent = IntStream.range(0, 1024).filter(n -> !calls.online().contains(n)).min().orElse(0);
  }

  /** Makes the calls of a row and returns what the last one answered. */
  String run(PolicyTable.Row row) {
    long base = calls.map((long) PAGES * page);
    try {
      for (String step : row.before().split(";", -1)) {
        String result = step.isBlank() ? "" : call(base, step.strip());
        if (result.startsWith("E")) {
          throw new AssertionError(step.strip() + ": " + result);
        }
      }
      return call(base, row.call());
    } finally {
      calls.unmap(base, (long) PAGES * page);
    }
  }

  /** Returns what a kernel built for few nodes answers: a mask that it cannot hold is EINVAL. */
  boolean namesNodesBeyondTheKernel(PolicyTable.Row row) {
    return literals(row).anyMatch(node -> node >= calls.maxNodes());
  }

  /** Tells whether a row asks for more than this process may do. */
  boolean needsMoreRights(PolicyTable.Row row) {
    return row.call().contains("MOVE_ALL") && !calls.hasSysNice();
  }

  /** Tells whether a row says anything about a machine with these node numbers. */
  boolean fits(PolicyTable.Row row) {
    boolean absentNodesAreAbsent =
        literals(row).noneMatch(node -> node > 0 && calls.online().contains(node));
    Matcher maxnode = MAXNODE.matcher(row.calls());
    boolean firstNodeIsRead = true;
    while (maxnode.find()) {
      // With 0 and 1 no node is read anywhere.
      long bits = Long.parseLong(maxnode.group(1)) - 1;
      firstNodeIsRead &= bits <= 0 || bits > first;
    }
    return absentNodesAreAbsent && firstNodeIsRead;
  }

  private static IntStream literals(PolicyTable.Row row) {
    return Arrays.stream(row.calls().replaceAll("[^{]*\\{([^}]*)\\}[^{]*", "$1,").split(",", -1))
        .filter(node -> node.matches("\\d+"))
        .mapToInt(Integer::parseInt);
  }

  private String call(long base, String text) {
    List<String> words = new ArrayList<>(List.of(text.split(" +", -1)));
    String verb = words.remove(0);
    Map<String, Long> named = new TreeMap<>();
    words.removeIf(word -> isNamed(word, named));
    return switch (verb) {
      case "set_mempolicy" ->
          done(
              calls.setMempolicy(
                  mode(words.get(0)), mask(words.get(1), words.get(0)), maxnode(words, named)));
      case "mbind" -> {
        long[] range = range(base, words.get(0));
        int flags = words.size() > 3 ? number(words.get(3)) : 0;
        int mode = mode(words.get(1));
        long[] mask = mask(words.get(2), words.get(1));
        yield done(calls.mbind(range[0], range[1], mode, mask, maxnode(words, named), flags));
      }
      case "home_node" -> {
        long[] range = range(base, words.get(0));
        long flags = named.getOrDefault("flags", 0L);
        yield done(calls.setMempolicyHomeNode(range[0], range[1], node(words.get(1)), flags));
      }
      case "get_mempolicy" -> get(base, words.isEmpty() ? "none" : words.get(0), named);
      case "move_pages" -> move(base, words);
      case "touch" -> touch(base, words.get(0));
      case "populate" -> advise(range(base, words.get(0)), 23);
      case "dontneed" -> advise(range(base, words.get(0)), 4);
      case "advise" -> advise(range(base, words.get(0)), number(words.get(1)));
      case "lock" -> {
        long[] range = range(base, words.get(0));
        yield done(calls.lock(range[0], range[1]));
      }
      case "unlock" -> {
        long[] range = range(base, words.get(0));
        yield done(calls.unlock(range[0], range[1]));
      }
      case "unmap" -> {
        long[] range = range(base, words.get(0));
        yield done(calls.unmap(range[0], range[1]));
      }
      default -> more.apply(verb, words);
    };
  }

  private String get(long base, String what, Map<String, Long> named) {
    String[] parts = what.split("@", 2);
    long address = parts.length == 1 ? 0 : base + offset(parts[1] + "p");
    int flags = number(parts[0]);
    int[] value = {-1};
    long[] mask = new long[MASK_WORDS];
    long maxnode = named.getOrDefault("maxnode", 1025L);
    int result = calls.getMempolicy(value, mask, maxnode, address, flags);
    if (result != 0) {
      return done(result);
    }
    String nodes =
        BitSet.valueOf(mask).stream()
            .mapToObj(this::name)
            .sorted(
                Comparator.comparing(
                    name -> name.equals("absent") ? Integer.MAX_VALUE : Integer.parseInt(name)))
            .collect(joined(","));
    return switch (flags) {
      case 0, 2 -> modeName(value[0]) + " {" + nodes + "}";
      case 4 -> "ok";
      default -> name(value[0]);
    };
  }

  private String move(long base, List<String> words) {
    long[] addresses = pages(words.get(0)).map(n -> base + n * page).toArray();
    int[] status = new int[addresses.length];
    int[] nodes = null;
    if (!words.get(1).equals("query")) {
      nodes = new int[addresses.length];
      Arrays.fill(nodes, node(words.get(1)));
    }
    int flags = words.size() > 2 ? number(words.get(2)) : 0;
    int result = calls.movePages(addresses, nodes, status, flags);
    return result != 0
        ? done(result)
        : Arrays.stream(status).mapToObj(s -> s < 0 ? done(s) : name(s)).collect(joined(" "));
  }

  private String touch(long base, String which) {
    for (long n : pages(which).toArray()) {
      int result = calls.touch(base + n * page);
      if (result != 0) {
        return done(result);
      }
    }
    return "ok";
  }

  private String advise(long[] range, int advice) {
    return done(calls.advise(range[0], range[1], advice));
  }

  private static boolean isNamed(String word, Map<String, Long> named) {
    int equals = word.indexOf('=');
    if (equals > 0) {
      named.put(word.substring(0, equals), Long.parseLong(word.substring(equals + 1)));
    }
    return equals > 0;
  }

  private static Collector<CharSequence, ?, String> joined(String by) {
    return Collectors.joining(by);
  }

  private static LongStream pages(String text) {
    if (text.contains("-")) {
      String[] ends = text.split("-", 2);
      return LongStream.rangeClosed(Long.parseLong(ends[0]), Long.parseLong(ends[1]));
    }
    return Arrays.stream(text.split(",", -1)).mapToLong(Long::parseLong);
  }

  private long[] range(long base, String text) {
    String[] bytes = text.split(":", 2);
    if (bytes.length == 2) {
      return new long[] {base + offset(bytes[0]), offset(bytes[1])};
    }
    long[] pages = pages(text).toArray();
    return new long[] {base + pages[0] * page, (long) pages.length * page};
  }

  private long offset(String text) {
    return text.endsWith("p")
        ? Long.parseLong(text.substring(0, text.length() - 1)) * page
        : Long.parseLong(text);
  }

  private long[] mask(String text, String mode) {
    if (text.equals("null")) {
      return null;
    }
    BitSet nodes = new BitSet();
    nodesOf(text, mode.contains("RELATIVE")).forEach(nodes::set);
    return Arrays.copyOf(nodes.toLongArray(), MASK_WORDS);
  }

  private IntStream nodesOf(String mask, boolean isRelative) {
    return Arrays.stream(mask.replaceAll("[{}]", "").split(",", -1))
        .filter(node -> !node.isEmpty())
        .mapToInt(node -> isRelative && !numbers.isEmpty() ? Integer.parseInt(node) : node(node));
  }

  private long maxnode(List<String> words, Map<String, Long> named) {
    String mask = words.stream().filter(word -> word.startsWith("{")).findFirst().orElse("{}");
    int last = nodesOf(mask, false).max().orElse(0);
    return named.getOrDefault("maxnode", (last / Long.SIZE + 1L) * Long.SIZE + 1);
  }

  private int node(String text) {
    return switch (text) {
      case "0" -> first;
      case "absent" -> absent;
      default -> {
        int number = Integer.parseInt(text);
        yield numbers.getOrDefault(number, number);
      }
    };
  }

  private String name(int node) {
    for (Map.Entry<Integer, Integer> number : numbers.entrySet()) {
      if (number.getValue() == node) {
        return number.getKey().toString();
      }
    }
    return node == first ? "0" : node == absent ? "absent" : Integer.toString(node);
  }

  private static int mode(String text) {
    String[] parts = text.split("\\+", 2);
    int mode = MODES.indexOf(parts[0]);
    if (mode < 0) {
      throw new IllegalArgumentException("no such mode: mode=" + parts[0]);
    }
    return mode | (parts.length == 1 ? 0 : number(parts[1]));
  }

  private static String modeName(int mode) {
    StringBuilder text = new StringBuilder(MODES.get(mode & 7));
    for (String flag : List.of("BALANCING", "RELATIVE", "STATIC")) {
      text.append((mode & NUMBERS.get(flag)) != 0 ? "+" + flag : "");
    }
    return text.toString();
  }

  private static int number(String text) {
    int number = 0;
    for (String flag : text.split("\\+", -1)) {
      Integer known = NUMBERS.get(flag);
      number |= known != null ? known : Integer.decode(flag);
    }
    return number;
  }

  private static String done(int result) {
    if (result >= 0) {
      return result == 0 ? "ok" : "not moved: " + result;
    }
    return result == PolicyCalls.KILLED
        ? "KILL"
        : ERRORS.getOrDefault(-result, String.format(Locale.ROOT, "errno %d", -result));
  }
}
