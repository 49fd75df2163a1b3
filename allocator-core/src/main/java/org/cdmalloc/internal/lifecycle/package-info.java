/* SPDX-License-Identifier: Apache-2.0 */
/** Who has a device's memory: the states through which it goes, and who may take it when. */
package org.cdmalloc.internal.lifecycle;
