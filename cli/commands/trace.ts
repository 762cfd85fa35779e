import type { Command } from "commander";
import type { Connection } from "../../api/gen/connection/connection.js";
import { MeshError } from "../../core/error.js";
import type { NodeClient } from "../../rpc/node.js";
import { command, optionsOf, type Shell } from "../command.js";
import type { GlobalOptions } from "../context.js";
import { type Format, outputOption, print } from "../output.js";
import { withProgress } from "../progress.js";
import { withNode } from "../session.js";
import { table } from "../table.js";
import { targetOf } from "../target.js";
import { type Hop, stateName, traceOf } from "../trace.js";
import { encryptedOf, mechanismOf } from "../view.js";

interface Trace {
  readonly id: string;
  readonly service: string;
  readonly endpoint: string;
  readonly state: string;
  readonly mechanism: string;
  readonly encrypted: boolean;
  readonly hops: readonly Hop[];
}

/** `trace ID`. */
export function traceCommand(shell: Shell): Command {
  return command("trace", "show every hop of a connection: who, how, how long", [
    "nsmctl --node paris-1 trace 0b1d7c1e-5f0a-4c33-9f5e-2f7a0c6f4a11",
    "nsmctl --node paris-1 trace 0b1d -o json",
  ])
    .argument("<id>", "an attachment's or a connection's id, or the beginning of it")
    .addOption(outputOption())
    .action(async (id: string, _options: unknown, self: Command) => {
      const { context } = shell;
      const options = optionsOf<GlobalOptions & { readonly output: Format }>(self);
      const { url } = targetOf(context, options);
      const connection = await withProgress(context, "looking for the connection", () =>
        withNode(context.clock, url, (node) => find(node, id, context.signal)),
      );
      await print(context, options.output, trace(connection, context.clock.now()), text);
    });
}

async function find(node: NodeClient, id: string, signal: AbortSignal): Promise<Connection> {
  const [attachments, passing] = await Promise.all([node.listAttachments(signal), node.listConnections(signal)]);
  // The same connection may be listed twice, as an attachment and as a hop: the attachment knows the whole path.
  const known = new Map<string, Connection>();
  for (const connection of [...attachments.flatMap((one) => one.connection ?? []), ...passing])
    for (const segment of connection.path?.pathSegments ?? []) if (!known.has(segment.id)) known.set(segment.id, connection);
  const found = new Set(
    known.has(id) ? [known.get(id)] : [...known].filter(([key]) => key.startsWith(id)).map(([, connection]) => connection),
  );
  const [connection, ...more] = found;
  if (connection === undefined) throw new MeshError("not-found", `no connection ${id} passes this node; see \`nsmctl get connections\``);
  if (more.length > 0) throw new MeshError("not-found", `${found.size} connections begin with ${id}; write more of it`);
  return connection;
}

function trace(connection: Connection, now: number): Trace {
  return {
    id: connection.path?.pathSegments[0]?.id ?? connection.id,
    service: connection.networkService,
    endpoint: connection.networkServiceEndpointName,
    state: stateName(connection.state),
    mechanism: mechanismOf(connection),
    encrypted: encryptedOf(connection),
    hops: traceOf(connection, now),
  };
}

const columns = ["hop", "program", "name", "node", "in", "out", "interface", "state", "ms", "tokenEnds"];

function text(found: Trace): string {
  const rows = found.hops.map((hop) => ({
    hop: hop.hop,
    program: hop.program,
    name: hop.name,
    node: hop.node,
    in: withPort(hop.serverMechanism, hop),
    out: withPort(hop.clientMechanism, hop),
    interface: [hop.serverInterface, hop.clientInterface].filter((name) => name !== "").join(" > "),
    state: hop.state,
    ms: hop.ms,
    tokenEnds: hop.expiresInSeconds === undefined ? "" : `in ${hop.expiresInSeconds} s`,
  }));
  const carried =
    found.mechanism === "kernel" ? "within one node" : `${found.mechanism}, ${found.encrypted ? "encrypted" : "NOT encrypted"}`;
  return `${found.service} at ${found.endpoint}: ${found.state}, ${carried}\n${table(columns, rows)}`;
}

/** A device of the connection's own listens on a port of its own; the node tunnel's is the same for all. */
function withPort(mechanism: string, hop: Hop): string {
  const port = hop.metrics["isthmus.listen_port"];
  return mechanism === "wireguard" && port !== undefined ? `${mechanism} (udp ${port})` : mechanism;
}
