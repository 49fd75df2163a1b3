/* SPDX-License-Identifier: Apache-2.0 */
/** From a machine's description to ordered nodes: pure functions, no zones, no memory. */
package org.cdmalloc.internal.zonelist;
