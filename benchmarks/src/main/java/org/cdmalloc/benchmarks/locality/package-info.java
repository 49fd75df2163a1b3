/* SPDX-License-Identifier: Apache-2.0 */
/**
 * {@code cdmalloc locality}: what memory costs from each node's CPUs, measured on this host, in
 * numbers and pictures.
 */
package org.cdmalloc.benchmarks.locality;
