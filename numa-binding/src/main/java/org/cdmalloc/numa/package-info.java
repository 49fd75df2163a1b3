/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Linux through JNA: address space from mmap(2), binding by mbind(2), residency from move_pages(2).
 * The only package that names JNA. Control path only: a call costs 40 to 150 ns, so nothing here is
 * called once per allocation.
 */
package org.cdmalloc.numa;
