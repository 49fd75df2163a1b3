/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What a machine's memory looks like: nodes, CPUs, sizes, distances, and the zonelists that follow
 * from them.
 *
 * <p>Everything here is an immutable value; the readers turn sysfs trees and the text of {@code
 * numactl --hardware} into values and know nothing of allocation. Words are the kernel's: a
 * <em>node</em> is a NUMA memory node by number, a <em>distance</em> is one of ACPI's SLIT.
 */
package org.cdmalloc.topology;
