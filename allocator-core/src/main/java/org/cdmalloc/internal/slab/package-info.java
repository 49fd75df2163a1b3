/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Objects smaller than pages: size classes, slabs that are cut into objects, and who frees them.
 */
package org.cdmalloc.internal.slab;
