/* SPDX-License-Identifier: Apache-2.0 */
/** The states of device nodes, and who may use a block at a time. */
package org.cdmalloc.internal.lifecycle;
