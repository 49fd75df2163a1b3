/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The path of an allocation: placement and bytes to an address, an address to the zone that takes
 * it back. Nothing here asks what kind of node a zone belongs to; which zones a request may walk
 * was decided when its {@link org.cdmalloc.internal.allocation.ZonePath} was made.
 */
package org.cdmalloc.internal.allocation;
