/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.reflect.Constructor;
import java.lang.reflect.Executable;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.net.URISyntaxException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.IntFunction;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.cdmalloc.NodeMemoryExhaustedException.Attempt;
import org.cdmalloc.internal.lifecycle.Ownership;
import org.cdmalloc.spi.AddressOnlySource;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.Diagnosis;
import org.cdmalloc.spi.DisplacementCause;
import org.cdmalloc.spi.Explanation;
import org.cdmalloc.spi.LockResult;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.MemorySourceProvider;
import org.cdmalloc.spi.MoveResult;
import org.cdmalloc.spi.Region;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.spi.Stripe;
import org.cdmalloc.topology.CpuMask;
import org.cdmalloc.topology.DistanceMatrix;
import org.cdmalloc.topology.LoadRule;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.cdmalloc.topology.NodePerformance;
import org.cdmalloc.topology.SpillMode;
import org.cdmalloc.topology.TopologyFormatException;
import org.cdmalloc.topology.Zonelist;
import org.cdmalloc.topology.ZonelistTable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * Every public method and constructor of what users see throws a NullPointerException for each
 * reference parameter that is null, at once and not when the value is used.
 */
final class PublicApiNullsTest {
  /** What others implement: the contract suites hold each implementation. */
  private static final Set<Class<?>> PORTS =
      Set.of(
          MemorySource.class,
          MemorySourceProvider.class,
          Machine.DistanceFunction.class,
          ZonelistTable.Labels.class);

  private final Machine machine =
      Machine.builder().node(Node.of(0, "0", 64 << 20)).node(Node.memoryOnly(1, 64 << 20)).build();
  private final MemorySource source = AddressOnlySource.of(machine);
  private final NodeAllocator memory = NodeAllocator.builder().source(source).open();

  /** A valid value of each type that has a method or is a parameter. */
  private final Map<Class<?>, Supplier<?>> values = new LinkedHashMap<>();

  PublicApiNullsTest() {
    values.put(int.class, () -> 0);
    values.put(long.class, () -> 4096L);
    values.put(boolean.class, () -> true);
    values.put(String.class, () -> "0");
    values.put(Throwable.class, IOException::new);
    values.put(Path.class, () -> Path.of("no", "such", "file"));
    values.put(Duration.class, () -> Duration.ofSeconds(1));
    values.put(ByteBuffer.class, () -> ByteBuffer.allocateDirect(1));
    values.put(List.class, List::of);
    values.put(Map.class, () -> Map.of(0, 1));
    values.put(OptionalInt.class, OptionalInt::empty);
    values.put(int[].class, () -> new int[] {0});
    values.put(int[][].class, () -> new int[][] {{10}});
    values.put(Machine.class, () -> machine);
    values.put(Machine.Builder.class, () -> Machine.builder().node(Node.of(0, "0", 4096)));
    values.put(Machine.DistanceFunction.class, () -> (Machine.DistanceFunction) (a, b) -> 10);
    values.put(Node.class, () -> Node.of(3, "3", 4096));
    values.put(NodeMask.class, () -> NodeMask.of(0));
    values.put(CpuMask.class, () -> CpuMask.parse("0"));
    values.put(NodePerformance.class, () -> NodePerformance.NONE);
    values.put(DistanceMatrix.class, () -> DistanceMatrix.uniform(NodeMask.of(0)));
    values.put(LoadRule.class, () -> LoadRule.ACCUMULATE);
    values.put(SpillMode.class, () -> SpillMode.RAM);
    values.put(Zonelist.class, () -> lists().get(0));
    values.put(Zonelist.Kind.class, () -> Zonelist.Kind.SYSTEM);
    values.put(ZonelistTable.Labels.class, () -> ZonelistTable.numbers(machine));
    values.put(
        TopologyFormatException.class, () -> new TopologyFormatException(Path.of(""), 1, ""));
    values.put(MemorySource.class, () -> source);
    values.put(Region.class, () -> source.reserve(0, 4096));
    values.put(Residency.class, () -> new Residency(4096, new int[] {0}, ""));
    values.put(Stripe.class, () -> Stripe.of(0));
    values.put(SpillBudget.class, () -> SpillBudget.ofBytes(0));
    values.put(DeviceBlock.class, () -> new DeviceBlock("device1", 4096, 4096, 0));
    values.put(HolderReport.class, () -> new HolderReport(1, "device1", 0, 0, 0, 0, 0, false));
    values.put(CommitResult.class, () -> CommitResult.COMMITTED);
    values.put(CommitResult.Outcome.class, () -> CommitResult.Outcome.COMMITTED);
    values.put(IntFunction.class, () -> (IntFunction<String>) page -> "");
    values.put(MoveResult.Unmoved.class, () -> new MoveResult.Unmoved(0, 1, 0, ""));
    values.put(
        MoveResult.class,
        () -> MoveResult.refused("full", new Residency(4096, new int[] {0}, ""), 1));
    values.put(MoveReport.Unmoved.class, () -> new MoveReport.Unmoved(4096, 4096, 0, ""));
    values.put(MoveReport.class, () -> new MoveReport(0, 4096, List.of()));
    values.put(Diagnosis.class, () -> new Diagnosis(true, List.of()));
    values.put(DisplacementCause.class, () -> DisplacementCause.UNKNOWN);
    values.put(Explanation.class, () -> Explanation.UNKNOWN);
    values.put(LockResult.class, () -> LockResult.LOCKED);
    values.put(NodeAllocator.class, () -> memory);
    values.put(NodeAllocator.Builder.class, NodeAllocator::builder);
    values.put(LockResult.class, () -> LockResult.LOCKED);
    values.put(NodeState.class, () -> NodeState.ONLINE);
    values.put(NodeFailedException.class, () -> new NodeFailedException(1, ""));
    values.put(DrainReport.Cause.class, () -> DrainReport.Cause.LENT);
    values.put(
        DrainReport.Blocker.class,
        () -> new DrainReport.Blocker(DrainReport.Cause.LENT, "device1", 4096, 4096, ""));
    values.put(DrainReport.class, () -> new DrainReport(1, NodeState.OFFLINE, 0, List.of()));
    values.put(DevicePin.class, this::pin);
    values.put(SystemMemory.class, memory::systemView);
    values.put(DeviceNode.class, () -> memory.device(1));
    values.put(
        DeviceLoan.class,
        () ->
            new DeviceLoan(
                4096, 1, "device1", () -> ByteBuffer.allocate(1), new Ownership(() -> {})));
    values.put(NodeArena.class, () -> memory.arena(Placement.LOCAL));
    values.put(Placement.class, () -> Placement.onNode(0));
    values.put(Placement.Mode.class, () -> Placement.Mode.LOCAL);
    values.put(Zeroing.class, () -> Zeroing.NEVER);
    values.put(NodeAttributes.class, () -> NodeAttributes.SYSTEM);
    values.put(Shrinker.class, () -> (Shrinker) bytes -> 0);
    values.put(Registration.class, () -> memory.shrinker(0, bytes -> 0));
    values.put(Marks.class, () -> Marks.NONE);
    values.put(NumaCounters.class, () -> NumaCounters.ZERO);
    values.put(MagazineReport.class, () -> MagazineReport.NONE);
    values.put(MemoryReport.class, memory::report);
    values.put(MemoryReport.Totals.class, () -> memory.report().system());
    values.put(NodeReport.class, () -> memory.report().node(0));
    values.put(
        StripeReport.class, () -> new StripeReport(Stripe.of(0), 0, 0, 0, 0, 0, 0, List.of()));
    values.put(PlacementAudit.class, memory::audit);
    values.put(Displacement.class, PublicApiNullsTest::displacement);
    values.put(
        NodeMemoryExhaustedException.class,
        () -> new NodeMemoryExhaustedException(1, "local", List.of(attempt())));
    values.put(NodeMemoryExhaustedException.Reason.class, () -> attempt().reason());
    values.put(Attempt.class, PublicApiNullsTest::attempt);
    values.put(NodeAccessException.class, () -> new NodeAccessException(""));
    values.put(NativeCallException.class, () -> new NativeCallException("mmap", 12, "ENOMEM", ""));
    values.put(MemoryCorruptionError.class, () -> new MemoryCorruptionError(""));
  }

  private List<Zonelist> lists() {
    return machine.zonelists(NodeMask.of(1), LoadRule.ACCUMULATE, SpillMode.RAM);
  }

  private DevicePin pin() {
    memory.device(1).online();
    return memory.device(1).copyOf(ByteBuffer.allocate(1));
  }

  private static Displacement displacement() {
    return new Displacement(0, 1, 4096, DisplacementCause.UNKNOWN, "");
  }

  private static Attempt attempt() {
    return new Attempt(
        0,
        NodeMemoryExhaustedException.Reason.FULL,
        1,
        1,
        1,
        1,
        Marks.NONE,
        List.of(1),
        0,
        0,
        1,
        "");
  }

  @AfterEach
  void close() {
    memory.close();
  }

  /** The public types in the folder of the module's classes. */
  private static List<Class<?>> publicTypes() throws IOException, URISyntaxException {
    Path classes =
        Path.of(NodeAllocator.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    List<Class<?>> types = new ArrayList<>();
    for (String name : List.of("", "topology", "spi")) {
      try (Stream<Path> files = Files.list(classes.resolve("org/cdmalloc").resolve(name))) {
        for (Path file : (Iterable<Path>) files.sorted()::iterator) {
          String path = classes.relativize(file).toString();
          if (path.endsWith(".class") && !path.contains("package-info")) {
            Class<?> type = type(path);
            if (isPublic(type)) {
              types.add(type);
            }
          }
        }
      }
    }
    return types;
  }

  private static Class<?> type(String path) {
    String name = path.substring(0, path.length() - ".class".length()).replaceAll("[/\\\\]", ".");
    try {
      return Class.forName(name);
    } catch (ClassNotFoundException e) {
      throw new AssertionError(path, e);
    }
  }

  private static boolean isPublic(Class<?> type) {
    boolean all = true;
    for (Class<?> each = type; each != null; each = each.getEnclosingClass()) {
      all &= Modifier.isPublic(each.getModifiers());
    }
    return all;
  }

  private static List<Executable> publicMembers(Class<?> type) {
    List<Executable> members = new ArrayList<>(List.of(type.getConstructors()));
    for (Method method : type.getDeclaredMethods()) {
      // What equals says of null is Object's to say.
      if (Modifier.isPublic(method.getModifiers())
          && !method.isSynthetic()
          && !method.getName().equals("equals")) {
        members.add(method);
      }
    }
    return members;
  }

  private Object value(Class<?> type, String wantedBy) {
    Supplier<?> value = values.get(type);
    if (value == null) {
      throw new AssertionError("add a value of " + type.getName() + ", wanted by " + wantedBy);
    }
    return value.get();
  }

  @Test
  void everyReferenceParameterIsRefusedIfItIsNull() throws Exception {
    List<String> wrong = new ArrayList<>();
    int tried = 0;
    for (Class<?> type : publicTypes()) {
      if (PORTS.contains(type)) {
        continue;
      }
      for (Executable member : publicMembers(type)) {
        Class<?>[] parameters = member.getParameterTypes();
        for (int i = 0; i < parameters.length; i++) {
          if (!parameters[i].isPrimitive()) {
            tried++;
            String outcome = outcomeOfNull(member, i);
            if (!outcome.equals(NullPointerException.class.getSimpleName())) {
              wrong.add(member + ", parameter " + i + ": " + outcome);
            }
          }
        }
      }
    }
    assertTrue(tried >= 100, "tried=" + tried);
    assertEquals("", String.join("\n", wrong));
  }

  private String outcomeOfNull(Executable member, int parameter) throws Exception {
    Class<?>[] parameters = member.getParameterTypes();
    Object[] arguments = new Object[parameters.length];
    for (int i = 0; i < parameters.length; i++) {
      arguments[i] = i == parameter ? null : value(parameters[i], member.toString());
    }
    try {
      if (member instanceof Constructor<?> constructor) {
        constructor.newInstance(arguments);
      } else {
        Object receiver =
            Modifier.isStatic(member.getModifiers())
                ? null
                : value(member.getDeclaringClass(), member.toString());
        ((Method) member).invoke(receiver, arguments);
      }
      return "accepted";
    } catch (InvocationTargetException e) {
      return e.getCause().getClass().getSimpleName();
    }
  }

  @Test
  void everyPublicTypeHasAValue() throws Exception {
    List<String> missing = new ArrayList<>();
    for (Class<?> type : publicTypes()) {
      boolean hasInstances =
          type.getConstructors().length > 0
              || Stream.of(type.getDeclaredMethods())
                  .anyMatch(
                      method ->
                          Modifier.isPublic(method.getModifiers())
                              && !Modifier.isStatic(method.getModifiers()));
      if (!PORTS.contains(type) && hasInstances && !values.containsKey(type)) {
        missing.add(type.getName());
      }
    }
    assertEquals(List.of(), missing, "add a value for");
    assertTrue(publicTypes().size() > 30, () -> "types=" + values.size());
  }
}
