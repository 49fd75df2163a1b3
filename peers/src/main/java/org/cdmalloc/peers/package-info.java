/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The same work done by cdmalloc and by its peers, side by side: the peers, each as its users write
 * it at its best; the works; and the program that runs them in turn and writes what it found as a
 * table and a picture. {@code docs/performance.md} tells how to run it.
 */
package org.cdmalloc.peers;
