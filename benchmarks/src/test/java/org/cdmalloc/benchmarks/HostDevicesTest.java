/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

/** The examples with the memory of this host. */
final class HostDevicesTest extends DevicesExamples {}
