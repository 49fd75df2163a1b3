/* SPDX-License-Identifier: Apache-2.0 */
/** ByteBuffer to address and back: the one door, and the arithmetic of regions behind it. */
package org.cdmalloc.internal.address;
