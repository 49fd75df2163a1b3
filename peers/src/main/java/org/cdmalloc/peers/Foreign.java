/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.reflect.Array;
import java.lang.reflect.InvocationTargetException;
import java.util.List;
import java.util.Optional;

/**
 * The foreign function and memory API, which JDK 22 has and the release that this compiles for has
 * not. It is looked up by name once; what is called later are constant method handles, which
 * compile to the same code as calls in the source.
 */
final class Foreign {
  private static final String PACKAGE = "java.lang.foreign.";
  private static final int FIRST_JDK = 22;
  private static final List<String> MIMALLOC = List.of("libmimalloc.so.2", "libmimalloc.so");

  private Foreign() {}

  /** Looked at before the class that needs it, whose first failure alone would say why. */
  static Peer confinedArena() {
    requireForeign();
    return new ConfinedArena();
  }

  static Peer libc() {
    requireForeign();
    return new Libc();
  }

  static Peer mimalloc() {
    requireForeign();
    try {
      library(MIMALLOC);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException("no library: " + e, e);
    }
    return new Mimalloc();
  }

  /** An arena per block, for the thread that allocates only. */
  static final class ConfinedArena extends HandlePeer<Object> {
    private static final MethodHandle OPEN = arena("ofConfined", Object.class);
    private static final MethodHandle ALLOCATE =
        arena("allocate", Object.class, Object.class, long.class);
    private static final MethodHandle CLOSE = arena("close", void.class, Object.class);

    @Override
    Object allocate(int bytes) {
      try {
        Object arena = (Object) OPEN.invokeExact();
        Object segment = (Object) ALLOCATE.invokeExact(arena, (long) bytes);
        return segment == null ? null : arena;
      } catch (Throwable e) {
        throw Rethrown.of(e);
      }
    }

    @Override
    void free(Object arena) {
      try {
        CLOSE.invokeExact(arena);
      } catch (Throwable e) {
        throw Rethrown.of(e);
      }
    }

    @Override
    public boolean handsOver() {
      return false;
    }
  }

  /** The C library's {@code malloc} by critical calls, which skip the change of thread state. */
  static final class Libc extends AddressPeer {
    private static final MethodHandle MALLOC = allocating(List.of(), "malloc");
    private static final MethodHandle FREE = freeing(List.of(), "free");

    @Override
    long allocate(int bytes) {
      try {
        return (long) MALLOC.invokeExact((long) bytes);
      } catch (Throwable e) {
        throw Rethrown.of(e);
      }
    }

    @Override
    void free(long address) {
      try {
        FREE.invokeExact(address);
      } catch (Throwable e) {
        throw Rethrown.of(e);
      }
    }
  }

  /** mimalloc by critical calls. */
  static final class Mimalloc extends AddressPeer {

    private static final MethodHandle MALLOC = allocating(MIMALLOC, "mi_malloc");
    private static final MethodHandle FREE = freeing(MIMALLOC, "mi_free");

    @Override
    long allocate(int bytes) {
      try {
        return (long) MALLOC.invokeExact((long) bytes);
      } catch (Throwable e) {
        throw Rethrown.of(e);
      }
    }

    @Override
    void free(long address) {
      try {
        FREE.invokeExact(address);
      } catch (Throwable e) {
        throw Rethrown.of(e);
      }
    }
  }

  private static MethodHandle allocating(List<String> libraries, String name) {
    return function(libraries, name, true);
  }

  private static MethodHandle freeing(List<String> libraries, String name) {
    return function(libraries, name, false);
  }

  /** Addresses are passed as {@code long}s, so that a call makes no segment. */
  private static MethodHandle function(List<String> libraries, String name, boolean returns) {
    try {
      Object linker = type("Linker").getMethod("nativeLinker").invoke(null);
      Object address = address(linker, libraries, name);
      Class<?> layout = type("MemoryLayout");
      Object word = type("ValueLayout").getField("JAVA_LONG").get(null);
      Object words = Array.newInstance(layout, 1);
      Array.set(words, 0, word);
      Class<?> descriptor = type("FunctionDescriptor");
      Object signature =
          returns
              ? descriptor.getMethod("of", layout, words.getClass()).invoke(null, word, words)
              : descriptor.getMethod("ofVoid", words.getClass()).invoke(null, words);
      Class<?> option = type("Linker$Option");
      Object options = Array.newInstance(option, 1);
      Array.set(options, 0, option.getMethod("critical", boolean.class).invoke(null, false));
      return (MethodHandle)
          type("Linker")
              .getMethod("downcallHandle", type("MemorySegment"), descriptor, options.getClass())
              .invoke(linker, address, signature, options);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException("no call of " + name + ": " + e, e);
    }
  }

  private static Object address(Object linker, List<String> libraries, String name)
      throws ReflectiveOperationException {
    Object lookup =
        libraries.isEmpty()
            ? type("Linker").getMethod("defaultLookup").invoke(linker)
            : library(libraries);
    Optional<?> found =
        (Optional<?>) type("SymbolLookup").getMethod("find", String.class).invoke(lookup, name);
    return found.orElseThrow(() -> new IllegalStateException("no function " + name));
  }

  private static Object library(List<String> names) throws ReflectiveOperationException {
    Object forever = type("Arena").getMethod("global").invoke(null);
    for (String name : names) {
      try {
        return type("SymbolLookup")
            .getMethod("libraryLookup", String.class, type("Arena"))
            .invoke(null, name, forever);
      } catch (InvocationTargetException e) {
        if (!(e.getCause() instanceof IllegalArgumentException)) {
          throw e;
        }
      }
    }
    throw new IllegalStateException("no library " + String.join(" or ", names));
  }

  private static MethodHandle arena(String name, Class<?> result, Class<?>... arguments) {
    try {
      Class<?> arena = type("Arena");
      MethodHandles.Lookup lookup = MethodHandles.publicLookup();
      MethodHandle exact =
          switch (name) {
            case "ofConfined" -> lookup.findStatic(arena, name, MethodType.methodType(arena));
            case "allocate" ->
                lookup.findVirtual(
                    arena, name, MethodType.methodType(type("MemorySegment"), long.class));
            default -> lookup.findVirtual(arena, name, MethodType.methodType(void.class));
          };
      return exact.asType(MethodType.methodType(result, arguments));
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException("no method of Arena: " + name, e);
    }
  }

  private static void requireForeign() {
    int feature = Runtime.version().feature();
    if (feature < FIRST_JDK) {
      throw new IllegalStateException("needs JDK " + FIRST_JDK + ", this is " + feature);
    }
  }

  private static Class<?> type(String name) throws ClassNotFoundException {
    return Class.forName(PACKAGE + name);
  }
}
