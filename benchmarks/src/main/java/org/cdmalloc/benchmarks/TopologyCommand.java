/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.cdmalloc.topology.NodePerformance;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code cdmalloc topology}: the nodes of a machine, for people or as JSON. */
@Command(
    name = "topology",
    description = "Prints a machine's memory nodes, their distances, and which are device nodes.",
    mixinStandardHelpOptions = true,
    versionProvider = ManifestVersion.class)
final class TopologyCommand implements Runnable {
  private static final List<String> HEADER =
      List.of(
          "node",
          "kind",
          "memory",
          "zone",
          "tier",
          "near",
          "read latency",
          "write latency",
          "read bandwidth",
          "write bandwidth",
          "CPUs");

  @Spec private CommandSpec spec;

  @ArgGroup private MachineSource source = new MachineSource();

  @Option(names = "--json", description = "Print JSON.")
  private boolean json;

  @Override
  public void run() {
    Machine machine = source.read();
    PrintWriter out = spec.commandLine().getOut();
    out.print(json ? Json.line(json(machine)) : text(machine));
    out.flush();
  }

  private static String text(Machine machine) {
    DefaultDevices devices = DefaultDevices.of(machine);
    AlignedTable nodes = new AlignedTable(HEADER);
    machine.nodes().forEach(node -> nodes.row(cells(node, devices.nodes())));
    return "origin    "
        + machine.origin()
        + "\nonline    "
        + machine.online()
        + "\npossible  "
        + machine.possible()
        + "\n\n"
        + nodes
        + "\ndistances, from the row's node to the column's\n"
        + distances(machine)
        + "\n"
        + String.join("\n", devices.reasons())
        + "\n";
  }

  private static List<String> cells(Node node, NodeMask devices) {
    NodePerformance known = node.performance();
    return List.of(
        Integer.toString(node.id()),
        devices.contains(node.id()) ? "device" : "system",
        binary(node.bytes()),
        node.hasMemory() ? node.zoneName() : "",
        figure(known.tier(), ""),
        known.initiators().toString(),
        figure(known.readLatencyNanos(), " ns"),
        figure(known.writeLatencyNanos(), " ns"),
        bandwidth(known.readBandwidthMebibytes()),
        bandwidth(known.writeBandwidthMebibytes()),
        node.hasCpus() ? node.cpus().toString() : "none");
  }

  /** Returns the distances from each node, a row, to each node, a column. */
  static AlignedTable distances(Machine machine) {
    List<String> header = new ArrayList<>(List.of("node"));
    machine.online().stream().forEach(to -> header.add(Integer.toString(to)));
    AlignedTable table = new AlignedTable(header);
    for (Node from : machine.nodes()) {
      List<String> row = new ArrayList<>(List.of(Integer.toString(from.id())));
      for (Node to : machine.nodes()) {
        row.add(Integer.toString(machine.distances().between(from.id(), to.id())));
      }
      table.row(row);
    }
    return table;
  }

  private static String bandwidth(int mebibytes) {
    return mebibytes == NodePerformance.UNKNOWN ? "" : binary((long) mebibytes << 20) + "/s";
  }

  private static String figure(int figure, String unit) {
    return figure == NodePerformance.UNKNOWN ? "" : figure + unit;
  }

  /** Prints bytes in the largest binary unit of which there is one at least, to a tenth. */
  private static String binary(long bytes) {
    String[] units = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    int unit = Math.max(0, (63 - Long.numberOfLeadingZeros(Math.max(1, bytes))) / 10);
    return unit == 0
        ? bytes + " B"
        : String.format(Locale.ROOT, "%.1f %s", bytes / (double) (1L << (10 * unit)), units[unit]);
  }

  private static JsonObject json(Machine machine) {
    JsonObject object = new JsonObject();
    object.addProperty("origin", machine.origin());
    object.addProperty("online", machine.online().toString());
    object.addProperty("possible", machine.possible().toString());
    object.addProperty("defaultDevices", DefaultDevices.of(machine).nodes().toString());
    JsonArray nodes = new JsonArray();
    JsonArray distances = new JsonArray();
    for (Node node : machine.nodes()) {
      nodes.add(json(node));
      JsonArray row = new JsonArray();
      machine.online().stream().forEach(to -> row.add(machine.distances().between(node.id(), to)));
      distances.add(row);
    }
    object.add("nodes", nodes);
    object.add("distances", distances);
    return object;
  }

  private static JsonObject json(Node node) {
    JsonObject object = new JsonObject();
    object.addProperty("id", node.id());
    object.addProperty("cpus", node.cpus().toString());
    object.addProperty("bytes", node.bytes());
    object.addProperty("zone", node.zoneName());
    object.add("attributes", json(node.performance()));
    return object;
  }

  private static JsonElement json(NodePerformance performance) {
    if (performance.equals(NodePerformance.NONE)) {
      return JsonNull.INSTANCE;
    }
    JsonObject object = new JsonObject();
    object.addProperty("initiators", performance.initiators().toString());
    object.add("readLatencyNanos", figure(performance.readLatencyNanos()));
    object.add("writeLatencyNanos", figure(performance.writeLatencyNanos()));
    object.add("readBandwidthMebibytes", figure(performance.readBandwidthMebibytes()));
    object.add("writeBandwidthMebibytes", figure(performance.writeBandwidthMebibytes()));
    object.add("tier", figure(performance.tier()));
    return object;
  }

  private static JsonElement figure(int figure) {
    return figure == NodePerformance.UNKNOWN ? JsonNull.INSTANCE : new JsonPrimitive(figure);
  }
}
