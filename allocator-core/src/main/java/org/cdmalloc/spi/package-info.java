/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The port through which the core asks a platform for memory, and the values that pass through it.
 * Core knows no platform; each implementation is held to one contract suite.
 */
package org.cdmalloc.spi;
