/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The emulated machine: any {@link org.cdmalloc.topology.Machine} on any host, without native code.
 * A source on top, an emulated kernel with the memory policy calls of Linux below it. It keeps the
 * accounts of the nodes that a kernel would keep; it cannot place a page, and says so.
 */
package org.cdmalloc.stubs;
