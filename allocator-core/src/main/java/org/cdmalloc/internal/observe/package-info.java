/* SPDX-License-Identifier: Apache-2.0 */
/** What is told to whoever watches the process: events of the flight recorder, and the log. */
package org.cdmalloc.internal.observe;
