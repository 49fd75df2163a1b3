/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import org.cdmalloc.spi.PolicyCalls;
import org.cdmalloc.spi.PolicyCallsContract;

/** The kernel of this host answers as the tables say. */
final class HostPolicyCallsTest extends PolicyCallsContract {
  @Override
  protected PolicyCalls calls() {
    return new HostPolicyCalls();
  }
}
