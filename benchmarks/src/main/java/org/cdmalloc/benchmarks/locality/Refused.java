/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

/**
 * What was not measured, and why. Immutable.
 *
 * @param what the cell, in words
 * @param why the reason, in words, and what to do where something can be done
 */
record Refused(String what, String why) {}
