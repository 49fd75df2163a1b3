/* SPDX-License-Identifier: Apache-2.0 */
/** What holders of devices may use and do use: quotas, spill, charge and credit. */
package org.cdmalloc.internal.account;
