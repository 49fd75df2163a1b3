/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.topology;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.function.Function;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Whatever the files hold, the readers return a machine or throw TopologyFormatException, soon. */
class TopologyNoiseTest {
  private static final long SEED = Long.getLong("seed", 20_260_101L);
  private static final int TEN_MIB = 10 << 20;

  /** What a reader may allocate on the way to its refusal of a file that is too large. */
  private static final long SMALL = 8L * TopologyText.MAX_BYTES;

  /** The same for the largest file that it parses. */
  private static final long MODERATE = 20L * TopologyText.MAX_BYTES;

  @TempDir Path temporary;

  static List<MachineFixture> machines() {
    return MachineFixture.machines();
  }

  @ParameterizedTest
  @MethodSource("machines")
  void spoiledNumactlTextIsReadOrRefused(MachineFixture fixture) throws IOException {
    byte[] valid = Files.readAllBytes(fixture.numactl());
    NumactlReader reader = new NumactlReader(fixture.numactl());
    SplittableRandom random = new SplittableRandom(SEED);
    for (int round = 0; round < 4000; round++) {
      byte[] spoilt = spoil(valid, random);
      readOrRefuse(
          file -> reader.read(TopologyText.of(file, spoilt)),
          fixture.numactl(),
          fixture + " round " + round);
    }
  }

  @ParameterizedTest
  @MethodSource("machines")
  void aSpoiledTreeIsReadOrRefused(MachineFixture fixture) throws IOException {
    Path root = fixture.copySysfs(temporary.resolve("sysfs"));
    List<Path> files;
    try (Stream<Path> paths = Files.walk(root)) {
      files = paths.filter(Files::isRegularFile).sorted().toList();
    }
    SplittableRandom random = new SplittableRandom(SEED);
    for (int round = 0; round < 400; round++) {
      Path file = files.get(random.nextInt(files.size()));
      byte[] valid = Files.readAllBytes(file);
      replace(file, spoil(valid, random));
      readOrRefuse(Machine::fromSysfs, root, fixture + " round " + round + " in " + file);
      replace(file, valid);
    }
    assertEquals(Machine.fromSysfs(fixture.sysfs()), Machine.fromSysfs(root));
  }

  /** Many file systems write a file that is truncated to disk at once, but not a new one. */
  private static void replace(Path file, byte[] bytes) throws IOException {
    Files.delete(file);
    Files.write(file, bytes, StandardOpenOption.CREATE_NEW);
  }

  private static void readOrRefuse(Function<Path, Machine> reader, Path path, String round) {
    try {
      assertTrue(reader.apply(path).nodes().size() > 0);
    } catch (TopologyFormatException refused) {
      assertTrue(refused.file().startsWith(path), refused.getMessage());
      assertTrue(refused.getMessage().length() < 1000, refused.getMessage());
    } catch (RuntimeException | Error e) {
      fail(round + ", -Dseed=" + SEED, e);
    }
  }

  private static byte[] spoil(byte[] valid, SplittableRandom random) {
    byte[] bytes = valid.clone();
    for (int times = 1 + random.nextInt(3); times > 0; times--) {
      bytes = spoilOnce(bytes, random);
    }
    return bytes;
  }

  private static byte[] spoilOnce(byte[] bytes, SplittableRandom random) {
    if (bytes.length == 0) {
      return new byte[] {(byte) random.nextInt()};
    }
    int at = random.nextInt(bytes.length);
    return switch (random.nextInt(6)) {
      case 0 -> {
        bytes[at] ^= (byte) (1 << random.nextInt(8));
        yield bytes;
      }
      case 1 -> {
        bytes[at] = (byte) random.nextInt();
        yield bytes;
      }
      case 2 -> Arrays.copyOf(bytes, at);
      case 3 -> {
        bytes[at] = (byte) "0123456789-,: \n\r".charAt(random.nextInt(16));
        yield bytes;
      }
      case 4 -> {
        List<String> lines = lines(bytes);
        Collections.swap(lines, random.nextInt(lines.size()), random.nextInt(lines.size()));
        yield bytes(lines);
      }
      default -> {
        List<String> lines = lines(bytes);
        lines.add(random.nextInt(lines.size() + 1), lines.get(random.nextInt(lines.size())));
        yield bytes(lines);
      }
    };
  }

  private static List<String> lines(byte[] bytes) {
    String text = new String(bytes, StandardCharsets.ISO_8859_1);
    return new ArrayList<>(Arrays.asList(text.split("\n", -1)));
  }

  private static byte[] bytes(List<String> lines) {
    return String.join("\n", lines).getBytes(StandardCharsets.ISO_8859_1);
  }

  static List<Noise> noises() {
    byte[] binary = new byte[TEN_MIB];
    new Random(SEED).nextBytes(binary);
    return List.of(
        new Noise("binary", binary),
        new Noise("binary below the limit", Arrays.copyOf(binary, TopologyText.MAX_BYTES)),
        Noise.of("one long line", "x", TEN_MIB),
        Noise.of("zeros", "\0", TEN_MIB),
        Noise.of("a million lines", "0 1 2 3 4\n", 1 << 20),
        Noise.of("line ends below the limit", "\n", TopologyText.MAX_BYTES),
        Noise.of("blanks below the limit", " ", TopologyText.MAX_BYTES),
        Noise.of("digits below the limit", "1", TopologyText.MAX_BYTES),
        Noise.of("commas below the limit", ",", TopologyText.MAX_BYTES),
        Noise.of("dashes below the limit", "-", TopologyText.MAX_BYTES),
        Noise.of("entries below the limit", "1 ", TopologyText.MAX_BYTES / 2),
        Noise.of("node ranges below the limit", "0-1023,", TopologyText.MAX_BYTES / 7),
        Noise.of("CPU ranges below the limit", "0-65535,", TopologyText.MAX_BYTES / 8),
        Noise.of("words of numactl below the limit", "node 0 cpus: ", TopologyText.MAX_BYTES / 14),
        Noise.of(
            "words of meminfo below the limit", "Node 0 MemTotal: ", TopologyText.MAX_BYTES / 18));
  }

  @ParameterizedTest
  @MethodSource("noises")
  @Timeout(30)
  void noiseInPlaceOfNumactlTextIsRefused(Noise noise) throws IOException {
    Path file = Files.write(temporary.resolve("numactl.txt"), noise.bytes);
    assertRefused(() -> Machine.fromNumactl(file), file, noise.limit());
    byte[] start = "available: 2 nodes (0-1)\nnode 0 cpus: ".getBytes(StandardCharsets.US_ASCII);
    byte[] bytes = Arrays.copyOf(start, Math.min(TopologyText.MAX_BYTES, noise.bytes.length));
    System.arraycopy(noise.bytes, 0, bytes, start.length, bytes.length - start.length);
    assertRefused(() -> new NumactlReader(file).read(TopologyText.of(file, bytes)), file, MODERATE);
  }

  @ParameterizedTest
  @MethodSource("noises")
  @Timeout(30)
  void noiseInAnyFileOfSysfsIsRefused(Noise noise) throws IOException {
    Path root = new MachineFixture("cpuless-nodes").copySysfs(temporary.resolve("sysfs"));
    Path nodes = root.resolve(MachineFixture.NODES);
    Path noiseFile = Files.write(temporary.resolve("noise"), noise.bytes);
    for (String name :
        new String[] {
          "online",
          "possible",
          "has_cpu",
          "has_memory",
          "has_normal_memory",
          "node1/cpulist",
          "node1/meminfo",
          "node1/distance",
          "node1/access0/initiators/read_latency",
          "../../virtual/memory_tiering/memory_tier4/nodelist"
        }) {
      Path file = nodes.resolve(name).normalize();
      Path valid = Files.move(file, temporary.resolve("valid"));
      Files.createLink(file, noiseFile);
      if (noise.blank && !name.matches("online|.*(meminfo|distance|latency)")) {
        assertEquals(4, Machine.fromSysfs(root).nodes().size());
      } else {
        assertRefused(() -> Machine.fromSysfs(root), file, noise.limit());
      }
      Files.delete(file);
      Files.move(valid, file);
    }
  }

  private static void assertRefused(Executable reading, Path file, long limit) {
    ThreadMXBean threads = ManagementFactory.getPlatformMXBean(ThreadMXBean.class);
    long before = threads.getCurrentThreadAllocatedBytes();
    TopologyFormatException refusal = assertThrows(TopologyFormatException.class, reading);
    long allocatedBytes = threads.getCurrentThreadAllocatedBytes() - before;
    assertEquals(file, refusal.file());
    assertTrue(refusal.getMessage().length() < 1000, refusal.getMessage());
    assertTrue(allocatedBytes < limit, () -> "allocatedBytes=" + allocatedBytes);
  }

  @Test
  void theLargestFileIsReadAndNoByteMore() throws IOException {
    Path file = temporary.resolve("numactl.txt");
    String text = Files.readString(new MachineFixture("two-sockets").numactl());
    String padded = text + "\n".repeat(TopologyText.MAX_BYTES - text.length());
    Files.writeString(file, padded);
    assertEquals(2, Machine.fromNumactl(file).nodes().size());
    Files.writeString(file, padded + "\n");
    TopologyFormatException refusal =
        assertThrows(TopologyFormatException.class, () -> Machine.fromNumactl(file));
    assertTrue(refusal.getMessage().contains("too large"), refusal.getMessage());
  }

  /** Bytes under a name that a report can print. */
  static final class Noise {
    private final String name;
    private final byte[] bytes;
    private final boolean blank;

    private Noise(String name, byte[] bytes) {
      this.name = name;
      this.bytes = bytes;
      this.blank = name.startsWith("line ends") || name.startsWith("blanks");
    }

    static Noise of(String name, String part, int times) {
      return new Noise(name, part.repeat(times).getBytes(StandardCharsets.US_ASCII));
    }

    long limit() {
      return bytes.length > TopologyText.MAX_BYTES ? SMALL : MODERATE;
    }

    @Override
    public String toString() {
      return name;
    }
  }
}
