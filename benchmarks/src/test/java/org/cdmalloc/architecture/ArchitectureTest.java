/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.architecture;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.equivalentTo;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.core.domain.JavaModifier.FINAL;
import static com.tngtech.archunit.core.domain.JavaModifier.PROTECTED;
import static com.tngtech.archunit.core.domain.JavaModifier.PUBLIC;
import static com.tngtech.archunit.lang.SimpleConditionEvent.violated;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.Dependency;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaMember;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ImportOption.DoNotIncludeTests;
import com.tngtech.archunit.core.importer.Location;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchCondition;
import com.tngtech.archunit.lang.ArchRule;
import com.tngtech.archunit.lang.ConditionEvents;
import com.tngtech.archunit.library.dependencies.SliceAssignment;
import com.tngtech.archunit.library.dependencies.SliceIdentifier;
import java.util.List;
import java.util.Set;
import org.cdmalloc.internal.zonelist.ZonelistBuilder;
import org.cdmalloc.spi.Region;
import org.cdmalloc.topology.Machine;

/**
 * Holds the picture of the modules and the line of the core's packages: who may know whom, and what
 * users see. A rule that finds nothing to check fails.
 */
@AnalyzeClasses(
    packages = "org.cdmalloc",
    importOptions = {DoNotIncludeTests.class, ArchitectureTest.WrittenByHand.class})
final class ArchitectureTest {
  private static final String ROOT = "org.cdmalloc";
  private static final String TOPOLOGY = "org.cdmalloc.topology";
  private static final String SPI = "org.cdmalloc.spi";
  private static final String INTERNAL = "org.cdmalloc.internal..";
  private static final String NUMA = "org.cdmalloc.numa..";
  private static final String STUBS = "org.cdmalloc.stubs..";
  private static final String FLIGHT_RECORDER = "jdk.jfr..";
  private static final String[] EXPORTED = {ROOT, TOPOLOGY, SPI};
  private static final String[] CORE = {ROOT, TOPOLOGY, SPI, INTERNAL};

  /** The core's packages that users do not see, top to bottom; those of one line are strangers. */
  private static final List<Set<String>> INTERNAL_LINE =
      List.of(
          Set.of("allocation"),
          Set.of("account", "lifecycle"),
          Set.of("magazine"),
          Set.of("slab"),
          Set.of("zonelist"),
          Set.of("zone"),
          Set.of("address", "observe", "check"));

  /** The types of {@code org.cdmalloc} that do something; all others there are values. */
  private static final Set<String> FACADE =
      Set.of(
          "org.cdmalloc.NodeAllocator",
          "org.cdmalloc.SystemMemory",
          "org.cdmalloc.PlacedMemory",
          "org.cdmalloc.DeviceNode",
          "org.cdmalloc.DeviceLoan",
          "org.cdmalloc.DevicePin",
          "org.cdmalloc.SpillBudget",
          "org.cdmalloc.NodeArena");

  /** Machine.zonelists: the way by which those who may not see internals get zonelists. */
  private static final String DOOR_FROM = Machine.class.getName();

  private static final String DOOR_TO = ZonelistBuilder.class.getName();

  @ArchTest
  static final ArchRule coreStandsOnTheJdkAlone =
      classes()
          .that()
          .resideInAnyPackage(CORE)
          .should()
          .onlyDependOnClassesThat(
              resideInAnyPackage(CORE)
                  .or(resideInAnyPackage("java..", "javax.management..", FLIGHT_RECORDER)));

  /** A runtime image may lack its module: one class of that package looks whether it is there. */
  @ArchTest
  static final ArchRule flightRecorderIsKnownInOnePackage =
      noClasses()
          .that()
          .resideOutsideOfPackage("org.cdmalloc.internal.observe")
          .should()
          .dependOnClassesThat()
          .resideInAPackage(FLIGHT_RECORDER);

  @ArchTest
  static final ArchRule bindingKnowsCoreAndJna =
      classes()
          .that()
          .resideInAPackage(NUMA)
          .should()
          .onlyDependOnClassesThat(
              resideInAnyPackage(EXPORTED)
                  .or(resideInAnyPackage(NUMA, "com.sun.jna..", "com.sun.management..", "java..")));

  @ArchTest
  static final ArchRule standInsKnowCore =
      classes()
          .that()
          .resideInAPackage(STUBS)
          .should()
          .onlyDependOnClassesThat(
              resideInAnyPackage(EXPORTED)
                  .or(resideInAnyPackage(STUBS, "com.sun.management..", "java..")));

  @ArchTest
  static final ArchRule jnaIsCalledInOnePackage =
      noClasses()
          .that()
          .resideOutsideOfPackage("org.cdmalloc.numa")
          .should()
          .dependOnClassesThat()
          .resideInAPackage("com.sun.jna..");

  @ArchTest
  static final ArchRule internalsBelongToCore =
      noClasses()
          .that()
          .resideOutsideOfPackages(CORE)
          .should()
          .dependOnClassesThat()
          .resideInAPackage(INTERNAL);

  @ArchTest
  static final ArchRule packagesOfCoreAreALine =
      classes().that().resideInAnyPackage(CORE).should(new UseOnlyWhatIsBelow());

  @ArchTest
  static final ArchRule packagesHaveNoCircles =
      slices()
          .assignedFrom(new ByPackage())
          .should()
          .beFreeOfCycles()
          .ignoreDependency(equivalentTo(Machine.class), equivalentTo(ZonelistBuilder.class));

  @ArchTest
  static final ArchRule filesOfCoreHaveNoCircles =
      slices()
          .assignedFrom(new ByFile())
          .should()
          .beFreeOfCycles()
          .ignoreDependency(
              equivalentTo(Machine.class),
              DescribedPredicate.describe(
                  "a reader of its own", target -> isReaderOfMachines(target)));

  @ArchTest
  static final ArchRule namesSayWhatAThingIs =
      classes()
          .should()
          .haveNameNotMatching(".*(Util|Helper|Manager)[^.]*")
          .andShould()
          .haveNameNotMatching(".*(Impl|Info|Data|Context|Handler)(\\$.*)?");

  @ArchTest
  static final ArchRule exceptionsAreCalledSo =
      classes()
          .that()
          .areAssignableTo(Exception.class)
          .should()
          .haveSimpleNameEndingWith("Exception");

  @ArchTest
  static final ArchRule errorsAreCalledSo =
      classes().that().areAssignableTo(Error.class).should().haveSimpleNameEndingWith("Error");

  /** A source adds its own state to a Region; what the region promises is final. */
  @ArchTest
  static final ArchRule publicTypesAreClosed =
      classes()
          .that()
          .resideInAnyPackage(EXPORTED)
          .and()
          .arePublic()
          .and()
          .areNotInterfaces()
          .and()
          .areNotEnums()
          .and()
          .areNotAssignableFrom(Region.class)
          .should()
          .haveModifier(FINAL);

  @ArchTest
  static final ArchRule exportedSignaturesMentionNoInternalType =
      classes()
          .that()
          .resideInAnyPackage(EXPORTED)
          .and()
          .arePublic()
          .should(new MentionNoInternalType());

  @ArchTest
  static final ArchRule loggingIsSystemLogger =
      noClasses()
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage(
              "java.util.logging..",
              "org.slf4j..",
              "org.apache.logging..",
              "org.apache.commons.logging..",
              "ch.qos.logback..");

  private ArchitectureTest() {}

  private static boolean isReaderOfMachines(JavaClass target) {
    return target.getPackageName().equals(TOPOLOGY)
        && target.getSimpleName().endsWith("Reader")
        && !target.getModifiers().contains(PUBLIC);
  }

  private static String file(JavaClass type) {
    String name = type.getBaseComponentType().getName();
    int nested = name.indexOf('$');
    return nested < 0 ? name : name.substring(0, nested);
  }

  private static boolean isFacade(JavaClass type) {
    return FACADE.contains(file(type));
  }

  /** JMH writes classes into a package of its own. */
  static final class WrittenByHand implements com.tngtech.archunit.core.importer.ImportOption {
    @Override
    public boolean includes(Location location) {
      return !location.contains("/jmh_generated/") && !location.contains("-tests.jar");
    }
  }

  private static final class ByFile implements SliceAssignment {
    @Override
    public SliceIdentifier getIdentifierOf(JavaClass type) {
      return resideInAnyPackage(CORE).test(type)
          ? SliceIdentifier.of(file(type))
          : SliceIdentifier.ignore();
    }

    @Override
    public String getDescription() {
      return "files of the core";
    }
  }

  /** The root package is two things: values that every layer uses, and the facade on top of all. */
  private static final class ByPackage implements SliceAssignment {
    @Override
    public SliceIdentifier getIdentifierOf(JavaClass type) {
      return SliceIdentifier.of(type.getPackageName(), isFacade(type) ? "facade" : "");
    }

    @Override
    public String getDescription() {
      return "packages";
    }
  }

  private static final class UseOnlyWhatIsBelow extends ArchCondition<JavaClass> {
    /** Every layer stands above the values. */
    private static final int VALUES = 100;

    private static final int NOWHERE = -1;

    UseOnlyWhatIsBelow() {
      super("use only their own package, what lies below it, and the public values");
    }

    @Override
    public void check(JavaClass type, ConditionEvents events) {
      if (level(type) == NOWHERE) {
        events.add(violated(type, type.getName() + " is in no package of the line"));
      }
      for (Dependency dependency : type.getDirectDependenciesFromSelf()) {
        JavaClass target = dependency.getTargetClass().getBaseComponentType();
        if (resideInAnyPackage(CORE).test(target) && !mayUse(type, target)) {
          events.add(violated(dependency, dependency.getDescription()));
        }
      }
    }

    private static boolean mayUse(JavaClass type, JavaClass target) {
      if (file(type).equals(DOOR_FROM) && file(target).equals(DOOR_TO)) {
        return true;
      }
      int from = level(type);
      int to = level(target);
      return to > from || (to == from && type.getPackageName().equals(target.getPackageName()));
    }

    /** Larger is lower. */
    private static int level(JavaClass type) {
      return switch (type.getPackageName()) {
        case ROOT -> isFacade(type) ? 0 : VALUES;
        case SPI -> VALUES + 1;
        case TOPOLOGY -> VALUES + 2;
        default -> internalLevel(type.getPackageName());
      };
    }

    private static int internalLevel(String name) {
      String layer = name.substring(name.lastIndexOf('.') + 1);
      for (int i = 0; i < INTERNAL_LINE.size(); i++) {
        if (INTERNAL_LINE.get(i).contains(layer)) {
          return i + 1;
        }
      }
      return NOWHERE;
    }
  }

  private static final class MentionNoInternalType extends ArchCondition<JavaClass> {
    MentionNoInternalType() {
      super("mention no internal type in what users see");
    }

    @Override
    public void check(JavaClass type, ConditionEvents events) {
      for (JavaClass parent : type.getAllRawInterfaces()) {
        requireExported(type, type.getName(), parent, events);
      }
      for (JavaClass parent : type.getAllRawSuperclasses()) {
        requireExported(type, type.getName(), parent, events);
      }
      for (JavaMember member : type.getMembers()) {
        Set<JavaModifier> modifiers = member.getModifiers();
        if (modifiers.contains(PUBLIC) || modifiers.contains(PROTECTED)) {
          for (JavaClass mentioned : member.getAllInvolvedRawTypes()) {
            requireExported(type, member.getFullName(), mentioned, events);
          }
        }
      }
    }

    private static void requireExported(
        JavaClass type, String where, JavaClass mentioned, ConditionEvents events) {
      if (resideInAnyPackage(INTERNAL).test(mentioned.getBaseComponentType())) {
        events.add(violated(type, where + " mentions " + mentioned.getName()));
      }
    }
  }
}
