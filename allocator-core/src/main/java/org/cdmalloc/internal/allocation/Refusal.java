/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import org.cdmalloc.NodeMemoryExhaustedException.Reason;

/**
 * Why memory was not to be had: a limit of our own, or the source's answer.
 *
 * @param reason what kind of limit
 * @param detail its figures
 */
record Refusal(Reason reason, String detail) {}
