/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Set;

/**
 * Thrown when no node that a request may use has room for it. Expected under load: nothing is
 * broken, nothing was taken, and the same request may succeed once memory was freed.
 *
 * <p>The message is one line: what was asked, why each node could not serve with the figures that
 * decided, and what to do next. Of many nodes it tells about the first {@value #NODES_TOLD}; {@link
 * #attempts()} holds all, with all figures.
 */
public final class NodeMemoryExhaustedException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private static final int NODES_TOLD = 8;
  private static final int PAGE_BYTES = 4096;

  /** The size asked for, in bytes. */
  private final long requestedBytes;

  private final transient List<Attempt> attempts;

  /** Why a node could not serve a request. */
  public enum Reason {
    /** The request is larger than the largest block that the node's zone can ever have. */
    TOO_LARGE("larger than its largest block"),
    /** The request would take the node below its low mark, where others may still go. */
    LOW_MARK("would fall below its low mark"),
    /** The node has fewer free pages than were asked for. */
    FULL("has too few free pages"),
    /** The node has enough free pages, but no block of them is large enough. */
    FRAGMENTED("free pages are not in one block"),
    /** The kernel, or a limit that it would enforce with a kill, refused; the detail says which. */
    MEMORY_REFUSED("memory refused"),
    /**
     * The node's capacity is committed elsewhere: in striped zones, or in free pages that cannot be
     * given back.
     */
    CAPACITY_HELD("its capacity is committed elsewhere"),
    /** The capability, or one that it was made from, has used its quota; the detail says whose. */
    QUOTA_REACHED("the holder's quota is used up"),
    /** The block cannot be locked in memory; the detail says which limit, and what lifts it. */
    LOCK_REFUSED("cannot be locked in memory"),
    /** The node is to go offline, and gives no blocks out any more. */
    DRAINING("is being taken offline"),
    /** Others were faster; the node may have room now. */
    CONTENDED("others were faster; it may have room now");

    private final String words;

    Reason(String words) {
      this.words = words;
    }

    /**
     * Returns the reason in words, for whoever reads a message.
     *
     * @return the end of a sentence about the node, for example {@code has too few free pages}
     */
    public String words() {
      return words;
    }
  }

  /** What can be done, in the order in which it is worth trying. */
  private enum Advice {
    TRY_AGAIN("try again"),
    FREE_BLOCKS("free blocks"),
    TRIM("call trim()"),
    SMALLER_BLOCKS("ask for smaller blocks"),
    RAISE_CAPACITY("raise capacity(node, bytes)"),
    RAISE_QUOTA("ask for a capability with a larger quota"),
    LIFT_LIMIT("raise or relieve what the refusal names"),
    OTHER_DEVICE("use another node until it is online again"),
    MORE_NODES("name more nodes");

    private final String words;

    Advice(String words) {
      this.words = words;
    }
  }

  /**
   * What one node answered. The figures are read after the request had failed, one after another,
   * while others allocate and free: they explain, and need not agree to the byte. Immutable.
   *
   * @param node the node that was tried
   * @param reason why it could not serve
   * @param wantedBytes what the request would have taken of it: whole pages of 4 KiB
   * @param capacityBytes the most that may be used of the node
   * @param freeBytes what was left of the capacity for new blocks; what threads still keep ready is
   *     not in it, the detail of a failed request tells how much that is
   * @param floorBytes what had to stay free: a mark for requests that do not insist on the node, 0
   *     for those that do
   * @param marks the node's levels of free memory
   * @param freeBlocksPerOrder free blocks of 4 KiB · 2<sup>i</sup>, up to the largest that the zone
   *     can have
   * @param unusableIndex the share of the free pages that lie in blocks too small for the request,
   *     in thousandths (the kernel's {@code unusable_index}, debugfs extfrag)
   * @param fragmentationIndex towards 1000 if fragmentation is to blame, towards 0 if want of pages
   *     is, −1000 if a block was free that holds the request (the kernel's {@code extfrag_index})
   * @param kernelFreeBytes the node's free memory by the platform's own account, or {@link
   *     #UNKNOWN}
   * @param detail more about the reason, in words or as {@code name=value} pairs, or empty; for
   *     {@link Reason#MEMORY_REFUSED} what was full: the node, or the limit with its figures
   */
  public record Attempt(
      int node,
      Reason reason,
      long wantedBytes,
      long capacityBytes,
      long freeBytes,
      long floorBytes,
      Marks marks,
      List<Integer> freeBlocksPerOrder,
      int unusableIndex,
      int fragmentationIndex,
      long kernelFreeBytes,
      String detail) {
    /** Stands for a figure that the platform does not tell. */
    public static final long UNKNOWN = -1;

    /**
     * Makes an answer; the list is copied.
     *
     * @param node as {@link #node()}
     * @param reason as {@link #reason()}
     * @param wantedBytes as {@link #wantedBytes()}
     * @param capacityBytes as {@link #capacityBytes()}
     * @param freeBytes as {@link #freeBytes()}
     * @param floorBytes as {@link #floorBytes()}
     * @param marks as {@link #marks()}
     * @param freeBlocksPerOrder as {@link #freeBlocksPerOrder()}
     * @param unusableIndex as {@link #unusableIndex()}
     * @param fragmentationIndex as {@link #fragmentationIndex()}
     * @param kernelFreeBytes as {@link #kernelFreeBytes()}
     * @param detail as {@link #detail()}
     * @throws NullPointerException if an argument or an element is null
     */
    public Attempt {
      Objects.requireNonNull(reason, "reason");
      Objects.requireNonNull(marks, "marks");
      freeBlocksPerOrder = List.copyOf(freeBlocksPerOrder);
      Objects.requireNonNull(detail, "detail");
    }

    /**
     * Returns the largest block that the node's zone can ever have.
     *
     * @return bytes; 0 if there is no figure of any order
     */
    public long largestBlockBytes() {
      return freeBlocksPerOrder.isEmpty() ? 0 : blockBytes(freeBlocksPerOrder.size() - 1);
    }

    /**
     * Returns the largest block that was free.
     *
     * @return bytes; 0 if no page was free
     */
    public long largestFreeBytes() {
      int order = freeBlocksPerOrder.size() - 1;
      while (order >= 0 && freeBlocksPerOrder.get(order) == 0) {
        order--;
      }
      return order < 0 ? 0 : blockBytes(order);
    }

    /**
     * Says why, without figures.
     *
     * @return the reason in words and its detail, in one line
     */
    public String why() {
      // A source's words may come from a file's name.
      String line = detail.replaceAll("\\R\\s*", " ").strip();
      return line.isEmpty() ? reason.words() : reason.words() + ": " + line;
    }

    private static long blockBytes(int order) {
      return (long) PAGE_BYTES << order;
    }

    private String figures() {
      return switch (reason) {
        case TOO_LARGE -> wanted() + ", largest_block_bytes=" + largestBlockBytes() + capacity();
        case LOW_MARK ->
            wanted()
                + ", free_bytes="
                + freeBytes
                + ", must_stay_free_bytes="
                + floorBytes
                + capacity();
        case FULL, CONTENDED, DRAINING, QUOTA_REACHED ->
            wanted() + ", free_bytes=" + freeBytes + capacity();
        case FRAGMENTED -> wanted() + ", free_bytes=" + freeBytes + fragmentation();
        case MEMORY_REFUSED, LOCK_REFUSED -> "free_bytes=" + freeBytes + capacity() + kernelFree();
        case CAPACITY_HELD -> wanted() + ", free_bytes=" + freeBytes + capacity() + kernelFree();
      };
    }

    private String wanted() {
      return "wanted_bytes=" + wantedBytes;
    }

    private String capacity() {
      return ", capacity_bytes=" + capacityBytes;
    }

    private String kernelFree() {
      return kernelFreeBytes == UNKNOWN ? "" : ", kernel_free_bytes=" + kernelFreeBytes;
    }

    private String fragmentation() {
      return String.format(
          Locale.ROOT,
          ", largest_free_bytes=%d, unusable_index=%.3f, fragmentation_index=%.3f,"
              + " free_blocks_per_order=%s",
          largestFreeBytes(),
          unusableIndex / 1000.0,
          fragmentationIndex / 1000.0,
          freeBlocksPerOrder.toString().replace(",", ""));
    }

    private Set<Advice> advice() {
      return switch (reason) {
        case TOO_LARGE ->
            // A zone's largest block is the largest power of two in it, unless its memory comes in
            // pieces.
            capacityBytes < 2 * largestBlockBytes()
                ? EnumSet.of(Advice.SMALLER_BLOCKS, Advice.RAISE_CAPACITY)
                : EnumSet.of(Advice.SMALLER_BLOCKS);
        case LOW_MARK, FULL ->
            EnumSet.of(Advice.FREE_BLOCKS, Advice.RAISE_CAPACITY, Advice.MORE_NODES);
        case FRAGMENTED ->
            EnumSet.of(Advice.FREE_BLOCKS, Advice.TRIM, Advice.SMALLER_BLOCKS, Advice.MORE_NODES);
        case MEMORY_REFUSED, LOCK_REFUSED -> EnumSet.of(Advice.LIFT_LIMIT, Advice.MORE_NODES);
        case CAPACITY_HELD ->
            EnumSet.of(Advice.FREE_BLOCKS, Advice.TRIM, Advice.RAISE_CAPACITY, Advice.MORE_NODES);
        case QUOTA_REACHED -> EnumSet.of(Advice.FREE_BLOCKS, Advice.RAISE_QUOTA);
        case CONTENDED -> EnumSet.of(Advice.TRY_AGAIN);
        case DRAINING -> EnumSet.of(Advice.OTHER_DEVICE);
      };
    }
  }

  /**
   * Makes the exception.
   *
   * @param requestedBytes the size asked for, in bytes
   * @param placement where it was asked for, as {@link Placement#toString()} says
   * @param attempts the nodes in the order in which they were tried; copied
   * @throws NullPointerException if an argument or an element is null
   */
  public NodeMemoryExhaustedException(
      long requestedBytes, String placement, List<Attempt> attempts) {
    super(message(requestedBytes, placement, attempts));
    this.requestedBytes = requestedBytes;
    this.attempts = List.copyOf(attempts);
  }

  private static String message(long requestedBytes, String placement, List<Attempt> attempts) {
    StringBuilder text = new StringBuilder(512);
    text.append("no memory for the request: bytes=")
        .append(requestedBytes)
        .append(", placement=")
        .append(placement);
    for (Attempt attempt : attempts.subList(0, Math.min(NODES_TOLD, attempts.size()))) {
      text.append("; node=")
          .append(attempt.node())
          .append(": ")
          .append(attempt.why())
          .append(", ")
          .append(attempt.figures());
    }
    int untold = attempts.size() - NODES_TOLD;
    if (untold > 0) {
      text.append("; and ").append(untold).append(untold == 1 ? " more node" : " more nodes");
    }
    return text.append(advice(placement, attempts)).toString();
  }

  private static String advice(String placement, List<Attempt> attempts) {
    Set<Advice> all = EnumSet.noneOf(Advice.class);
    attempts.forEach(attempt -> all.addAll(attempt.advice()));
    if (!isConfined(placement)) {
      all.remove(Advice.MORE_NODES);
    }
    List<String> words = new ArrayList<>();
    all.forEach(advice -> words.add(advice.words));
    int last = words.size() - 1;
    return switch (words.size()) {
      case 0 -> "";
      case 1 -> "; " + words.get(0);
      case 2 -> "; " + words.get(0) + ", or " + words.get(1);
      default -> "; " + String.join(", ", words.subList(0, last)) + ", or " + words.get(last);
    };
  }

  /** Tells whether a placement names the only nodes that may serve, and could name others. */
  private static boolean isConfined(String placement) {
    return placement.startsWith("on node ") || placement.startsWith("bind ");
  }

  /**
   * Returns the size asked for.
   *
   * @return bytes
   */
  public long requestedBytes() {
    return requestedBytes;
  }

  /**
   * Returns what each node answered.
   *
   * @return in the order in which the nodes were tried; empty after deserialisation, which keeps
   *     the message
   */
  public List<Attempt> attempts() {
    return attempts == null ? List.of() : attempts;
  }
}
