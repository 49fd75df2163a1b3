/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import java.util.Objects;
import picocli.CommandLine.IVersionProvider;

/** What {@code --version} prints: the version in the manifest of the jar that runs. */
final class ManifestVersion implements IVersionProvider {
  @Override
  public String[] getVersion() {
    String version = ManifestVersion.class.getPackage().getImplementationVersion();
    return new String[] {"cdmalloc " + Objects.requireNonNullElse(version, "(not from its jar)")};
  }
}
