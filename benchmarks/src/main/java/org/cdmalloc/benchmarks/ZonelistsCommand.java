/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.io.PrintWriter;
import java.util.List;
import org.cdmalloc.topology.LoadRule;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;
import org.cdmalloc.topology.SpillMode;
import org.cdmalloc.topology.Zonelist;
import org.cdmalloc.topology.ZonelistTable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code cdmalloc zonelists}: the order in which each node's requests try the nodes. */
@Command(
    name = "zonelists",
    description = "Prints each node's fallback list: where memory comes from, in order.",
    mixinStandardHelpOptions = true,
    versionProvider = ManifestVersion.class)
final class ZonelistsCommand implements Runnable {
  /** How the lists are printed. */
  enum Format {
    /** The table of the 2017 mails. */
    TEXT,
    /** One object in one line. */
    JSON
  }

  private static final String NO_DEVICES = "none";

  @Spec private CommandSpec spec;

  @ArgGroup private MachineSource source = new MachineSource();

  @Option(
      names = "--device",
      paramLabel = "LIST",
      description = "Device nodes, as 2-4,8, or none. Default: the nodes with memory and no CPUs.")
  private String device;

  @Option(
      names = "--rule",
      paramLabel = "RULE",
      defaultValue = "accumulate",
      description =
          "How the kernel counts load among equally distant nodes: assign (before Linux 5.16) or"
              + " accumulate. Default: ${DEFAULT-VALUE}.")
  private LoadRule rule;

  @Option(
      names = "--spill",
      paramLabel = "MODE",
      defaultValue = "strict",
      description =
          "What follows a device in its own list: strict (nothing) or ram. Default:"
              + " ${DEFAULT-VALUE}.")
  private SpillMode spill;

  @Option(
      names = "--format",
      paramLabel = "FORMAT",
      defaultValue = "text",
      description = "text or json. Default: ${DEFAULT-VALUE}.")
  private Format format;

  @Override
  public void run() {
    NodeMask named = device == null ? null : named(device);
    Machine machine = source.read();
    DefaultDevices byDefault = DefaultDevices.of(machine);
    NodeMask devices = named == null ? byDefault.nodes() : online(named, machine);
    List<Zonelist> lists = machine.zonelists(devices, rule, spill);
    PrintWriter out = spec.commandLine().getOut();
    if (format == Format.JSON) {
      out.print(Json.line(json(lists)));
    } else {
      if (named == null) {
        byDefault.reasons().forEach(reason -> out.print(reason + "\n"));
        out.print("\n");
      }
      out.print(ZonelistTable.render(lists, ZonelistTable.numbers(machine)));
    }
    out.flush();
  }

  private NodeMask named(String list) {
    if (list.equals(NO_DEVICES)) {
      return NodeMask.EMPTY;
    }
    if (list.isBlank()) {
      throw wrong("--device names no node: list=\"\"; write " + NO_DEVICES + " for no devices");
    }
    try {
      return NodeMask.parse(list);
    } catch (IllegalArgumentException malformed) {
      throw wrong("--device is " + malformed.getMessage());
    }
  }

  private NodeMask online(NodeMask named, Machine machine) {
    NodeMask absent = named.without(machine.online());
    if (!absent.isEmpty()) {
      throw wrong(
          "--device names nodes that are not online: nodes="
              + absent
              + ", online="
              + machine.online());
    }
    return named;
  }

  private ParameterException wrong(String what) {
    return new ParameterException(spec.commandLine(), what);
  }

  private JsonObject json(List<Zonelist> lists) {
    JsonObject object = new JsonObject();
    object.addProperty("rule", EnumWord.of(rule));
    object.addProperty("spill", EnumWord.of(spill));
    JsonArray nodes = new JsonArray();
    for (Zonelist list : lists) {
      JsonObject node = new JsonObject();
      node.addProperty("node", list.node());
      node.addProperty("kind", EnumWord.of(list.kind()));
      node.add("fallback", array(list.fallback()));
      node.add("nofallback", array(list.noFallback()));
      nodes.add(node);
    }
    object.add("nodes", nodes);
    return object;
  }

  private static JsonArray array(List<Integer> nodes) {
    JsonArray array = new JsonArray();
    nodes.forEach(array::add);
    return array;
  }
}
