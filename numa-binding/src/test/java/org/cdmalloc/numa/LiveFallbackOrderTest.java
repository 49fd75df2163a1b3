/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.cdmalloc.topology.LoadRule;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;
import org.cdmalloc.topology.SpillMode;
import org.cdmalloc.topology.Zonelist;
import org.junit.jupiter.api.Test;

/**
 * Without device nodes our lists are those of the kernel that runs this: it prints them at boot and
 * whenever memory comes online ({@code build_zonelists} of mm/page_alloc.c).
 */
final class LiveFallbackOrderTest {
  private static final Path DMESG = Path.of("/usr/bin/dmesg");

  private static final Pattern LINE = Pattern.compile("Fallback order for Node (\\d+): ([\\d ]+)");

  @Test
  void ourListsAreTheKernels() throws IOException, InterruptedException {
    assumeTrue(Files.isExecutable(DMESG), "this host has no dmesg");
    Process dmesg = new ProcessBuilder(DMESG.toString()).redirectErrorStream(true).start();
    String log = new String(dmesg.getInputStream().readAllBytes(), UTF_8);
    dmesg.waitFor();
    Machine machine = Machine.fromSysfs(Machine.SYSFS);
    Map<Integer, String> theirs = new TreeMap<>();
    Matcher line = LINE.matcher(log);
    while (line.find()) {
      theirs.put(Integer.valueOf(line.group(1)), line.group(2).strip());
    }
    theirs.keySet().removeIf(node -> !machine.online().contains(node));
    assumeTrue(
        theirs.size() == machine.online().size(), "the kernel's log does not say: " + theirs);
    Map<Integer, String> ours = new TreeMap<>();
    for (Zonelist list : machine.zonelists(NodeMask.EMPTY, LoadRule.ACCUMULATE, SpillMode.STRICT)) {
      ours.put(
          list.node(),
          list.fallback().stream().map(String::valueOf).collect(Collectors.joining(" ")));
    }
    assertEquals(theirs, ours);
  }
}
