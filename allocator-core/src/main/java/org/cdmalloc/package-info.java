/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Off-heap memory by NUMA node, and device memory only when it is asked for by name. Begin with
 * {@link org.cdmalloc.NodeAllocator}.
 */
package org.cdmalloc;
