/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.address;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.junit.jupiter.api.Test;

final class BufferAddressTest {
  @Test
  void theAddressIsThatOfIndexZeroWhateverTheView() {
    ByteBuffer buffer = ByteBuffer.allocateDirect(64);
    long address = BufferAddress.of(buffer);
    assertNotEquals(BufferAddress.UNKNOWN, address);
    assertEquals(address, BufferAddress.of(buffer.duplicate().position(17).limit(20)));
    assertEquals(address, BufferAddress.of(buffer.asReadOnlyBuffer()));
    assertEquals(address, BufferAddress.of(buffer.duplicate().order(ByteOrder.LITTLE_ENDIAN)));
    assertEquals(address + 8, BufferAddress.of(buffer.slice(8, 16)));
    assertEquals(address + 8, BufferAddress.of(buffer.slice(8, 0)));
  }

  @Test
  void aBufferOnTheHeapHasNone() {
    assertThrows(IllegalArgumentException.class, () -> BufferAddress.of(ByteBuffer.allocate(16)));
  }
}
