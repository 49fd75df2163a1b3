/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The command line, {@code cdmalloc.jar}: a tour of the allocator, what a machine's memory looks
 * like, and the zonelists that follow from it; and the JMH benchmarks. Nothing here is an interface
 * for programs but the commands' JSON.
 */
package org.cdmalloc.benchmarks;
