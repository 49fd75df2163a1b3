/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import java.util.List;
import java.util.Optional;
import org.cdmalloc.Checks;

/** All peers, by name. */
final class Peers {
  /** In the order of tables. */
  static final List<String> NAMES =
      List.of(
          "cdmalloc-address",
          "cdmalloc-checked",
          "cdmalloc-zone",
          "cdmalloc-buffer",
          "cdmalloc-zeroed",
          "ffm-malloc",
          "ffm-mimalloc",
          "lwjgl-rpmalloc",
          "lwjgl-jemalloc",
          "unsafe",
          "netty-adaptive",
          "netty-pooled",
          "arrow-unsafe",
          "ffm-arena",
          "nio-direct",
          "nothing");

  private Peers() {}

  /**
   * Opens a peer, and touches no class of the others.
   *
   * @param name its name
   * @return a new one
   * @throws IllegalArgumentException if there is none of that name
   */
  static Peer open(String name) {
    return switch (name) {
      case "cdmalloc-address" -> Cdmalloc.Addresses.keptReady(Checks.STANDARD);
      case "cdmalloc-checked" -> Cdmalloc.Addresses.keptReady(Checks.PARANOID);
      case "cdmalloc-zone" -> Cdmalloc.Addresses.ofTheZone();
      case "cdmalloc-buffer" -> new Cdmalloc.Buffers(false);
      case "cdmalloc-zeroed" -> new Cdmalloc.Buffers(true);
      case "ffm-malloc" -> Foreign.libc();
      case "ffm-mimalloc" -> Foreign.mimalloc();
      case "lwjgl-rpmalloc" -> new Lwjgl.Rp();
      case "lwjgl-jemalloc" -> new Lwjgl.Je();
      case "unsafe" -> new Unsafe.Addresses();
      case "netty-adaptive" -> Netty.adaptive();
      case "netty-pooled" -> Netty.pooled();
      case "arrow-unsafe" -> new Arrow();
      case "ffm-arena" -> Foreign.confinedArena();
      case "nio-direct" -> new Unsafe.DirectBuffers();
      case "nothing" -> new Nothing();
      default -> throw new IllegalArgumentException("no peer: name=" + name);
    };
  }

  /**
   * Tries a peer here: opens it, allocates and frees a block.
   *
   * @param name its name
   * @return why it does not work here, or nothing
   */
  static Optional<String> obstacle(String name) {
    try (Peer peer = open(name)) {
      peer.enterThread();
      peer.pair(64);
      return Optional.empty();
    } catch (RuntimeException | LinkageError e) {
      Throwable root = e;
      while (root.getCause() != null) {
        root = root.getCause();
      }
      String message = root.getMessage() == null ? root.toString() : root.getMessage();
      return Optional.of(message.lines().findFirst().orElse("unknown").strip());
    }
  }
}
