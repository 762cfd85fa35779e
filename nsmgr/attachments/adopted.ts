import type { Connection } from "../../api/gen/connection/connection.js";
import type { Clock } from "../../core/clock.js";
import type { PeerSet } from "../../rpc/peers.js";
import { deadline } from "../deadline.js";

const askMs = 2_000;

export interface AskParts {
  readonly peers: Pick<PeerSet, "monitor">;
  /** The urls of this node's forwarders. */
  readonly forwarders: () => readonly string[];
  readonly clock: Clock;
}

/** Asks this node's forwarders for the connection whose path starts with this id: they outlive us, and know what became of it. */
export async function askForwarders(parts: AskParts, id: string, signal: AbortSignal): Promise<Connection | undefined> {
  const answers = await Promise.all(parts.forwarders().map((url) => askOne(parts, url, id, signal).catch(() => undefined)));
  return answers.find((answer) => answer !== undefined);
}

async function askOne(parts: AskParts, url: string, id: string, signal: AbortSignal): Promise<Connection | undefined> {
  using limit = deadline(parts.clock, askMs, `the forwarder at ${url} does not answer`, signal);
  const selector = { pathSegments: [{ name: "", id, token: "", expires: undefined, metrics: {} }], networkServices: [] };
  for await (const event of parts.peers.monitor(url, selector, limit.signal))
    return Object.values(event.connections).find((conn) => conn.path?.pathSegments[0]?.id === id);
  return undefined;
}
