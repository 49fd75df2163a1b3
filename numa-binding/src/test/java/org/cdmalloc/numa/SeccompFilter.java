/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import java.util.ArrayList;
import java.util.List;

/**
 * A real seccomp(2) filter on all threads of this process: chosen system calls fail with an errno,
 * as a container runtime's profile lets them fail. It cannot be taken off again, so it belongs into
 * a process of its own.
 *
 * <p>The filter is a program of classic BPF over {@code struct seccomp_data}, which begins with the
 * call's number and has the third argument's low half at offset 32 on little-endian machines.
 */
final class SeccompFilter {
  private static final int PR_SET_NO_NEW_PRIVS = 38;
  private static final int SECCOMP_SET_MODE_FILTER = 1;
  private static final int SECCOMP_FILTER_FLAG_TSYNC = 1;
  private static final int RET_ALLOW = 0x7fff0000;
  private static final int RET_ERRNO = 0x00050000;

  private static final int LOAD_WORD = 0x20;
  private static final int JUMP_IF_EQUAL = 0x15;
  private static final int RETURN = 0x06;
  private static final int OFFSET_OF_NUMBER = 0;
  private static final int OFFSET_OF_THIRD_ARGUMENT = 32;
  private static final int INSTRUCTION_BYTES = 8;

  private record Instruction(int code, int jumpTrue, int jumpFalse, int operand) {}

  private final SystemCallNumbers numbers;
  private final List<Instruction> program = new ArrayList<>();

  SeccompFilter(SystemCallNumbers numbers) {
    this.numbers = numbers;
    program.add(new Instruction(LOAD_WORD, 0, 0, OFFSET_OF_NUMBER));
  }

  /** Lets calls fail. */
  SeccompFilter refuse(int errno, String... calls) {
    for (String call : calls) {
      program.add(new Instruction(JUMP_IF_EQUAL, 0, 1, numbers.of(call)));
      program.add(new Instruction(RETURN, 0, 0, RET_ERRNO | errno));
    }
    return this;
  }

  /** Lets a call with a certain third argument fail. The last rule of a filter. */
  SeccompFilter refuseThirdArgument(int errno, String call, int argument) {
    program.add(new Instruction(JUMP_IF_EQUAL, 0, 3, numbers.of(call)));
    program.add(new Instruction(LOAD_WORD, 0, 0, OFFSET_OF_THIRD_ARGUMENT));
    program.add(new Instruction(JUMP_IF_EQUAL, 0, 1, argument));
    program.add(new Instruction(RETURN, 0, 0, RET_ERRNO | errno));
    return this;
  }

  /** Puts the filter in force. */
  void install() {
    program.add(new Instruction(RETURN, 0, 0, RET_ALLOW));
    long bytes = (long) program.size() * INSTRUCTION_BYTES;
    try (Memory code = new Memory(bytes);
        Memory header = new Memory(2L * Long.BYTES)) {
      for (int i = 0; i < program.size(); i++) {
        Instruction instruction = program.get(i);
        long at = (long) i * INSTRUCTION_BYTES;
        code.setShort(at, (short) instruction.code);
        code.setByte(at + 2, (byte) instruction.jumpTrue);
        code.setByte(at + 3, (byte) instruction.jumpFalse);
        code.setInt(at + 4, instruction.operand);
      }
      header.clear();
      header.setShort(0, (short) program.size());
      header.setPointer(Long.BYTES, code);
      call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0);
      call(
          "seccomp",
          SECCOMP_SET_MODE_FILTER,
          SECCOMP_FILTER_FLAG_TSYNC,
          Pointer.nativeValue(header));
    }
  }

  private void call(String name, long a, long b, long c) {
    if (LibC.syscall(numbers.of(name), a, b, c, 0, 0, 0) != 0) {
      throw Errno.failed(name, Errno.last(), "a=" + a + ", b=" + b);
    }
  }
}
