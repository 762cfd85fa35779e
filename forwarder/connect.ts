import type { Connection } from "../api/gen/connection/connection.js";
import type { Call, Element, Handler } from "../core/chain.js";
import { contextOf, ipContextOf, withContext } from "../core/context.js";
import { ETHERNET } from "../core/mechanism.js";
import { withOwnMetrics } from "../core/path.js";
import { inPart } from "../core/trace.js";
import { addressesOf, host } from "./addresses.js";
import type { Addresses, CrossConnect, KernelSide, Side } from "./crossConnect.js";
import { effectiveMtu, type NodeView } from "./desired.js";
import { accept, type Offers, offers, take, type Ways, wayOf } from "./mechanisms/choice.js";
import { endpointLost } from "./mechanisms/kernel.js";
import { sideMetrics } from "./metrics.js";
import { localMtu, lower } from "./mtu.js";
import type { Role } from "./names.js";
import { podMac } from "./pod.js";
import type { Pods } from "./pods.js";
import { policiesOf } from "./policies.js";
import type { Kept, Wanted } from "./wanted.js";

/** Tells a pod's new neighbours where it is: gratuitous ARP, unsolicited neighbour advertisements. */
export type Announce = (side: KernelSide, addresses: readonly string[], mac: string) => void;

export interface ConnectParts {
  readonly ways: Ways;
  readonly wanted: Wanted;
  readonly view: NodeView;
  readonly announce: Announce;
  readonly pods: Pick<Pods, "exists">;
}

/**
 * Joins the client's side of a connection to the endpoint's. The answer comes when packets go through.
 * A request again keeps all that has not changed: above all the pods' interfaces.
 */
export function connect(parts: ConnectParts): Element {
  const { ways, wanted } = parts;
  return {
    name: "connect",
    async request(call, next) {
      const { id } = call.connection;
      const before = wanted.get(id)?.connect;
      const client = await accept(ways, call, before?.client);
      const { answer, endpoint } = await ask(ways, call, next, before?.endpoint);
      const made = crossConnect(id, client, endpoint, answer);
      for (const other of ways) if (other.kind !== client.kind && other.kind !== endpoint.kind) other.forget?.(id);
      await wayOf(ways, endpoint)?.prepare?.(answer, endpoint, call.signal);
      const kept = { connect: made, connection: { ...answer, mechanism: client.mechanism } };
      await inPart(call.trace, "kernel", () => put(parts, kept, call.signal));
      const mtu = effectiveMtu(made, parts.view);
      const way = wayOf(ways, endpoint);
      if (way?.ready !== undefined) await inPart(call.trace, "tunnel", async () => await way.ready?.(answer, endpoint, call.signal));
      // Measuring the way may have shrunk it.
      if (effectiveMtu(made, parts.view) !== mtu) await wanted.settled(id, call.signal);
      if (before === undefined || !sameEndpoint(before, made)) announceAll(parts.announce, made);
      wayOf(ways, client)?.answered?.(client);
      return toClient(answer, made, parts.view);
    },
    async close(call, next) {
      const { id } = call.connection;
      const connection = { ...call.connection, mechanism: wanted.get(id)?.connect.endpoint.mechanism ?? call.connection.mechanism };
      // Both at once: a next hop that does not answer must not keep the pod's interface.
      const [here, behind] = await Promise.allSettled([wanted.remove(id), next.close({ ...call, connection })]);
      for (const candidate of ways) candidate.forget?.(id);
      if (here.status === "rejected") throw here.reason;
      if (behind.status === "rejected") throw behind.reason;
    },
  };
}

/** What the next hop answers, and the side that it makes. An answer that cannot be used is closed. */
async function ask(ways: Ways, call: Call, next: Handler, before: Side | undefined): Promise<{ answer: Connection; endpoint: Side }> {
  const offered: Offers = await offers(ways, call, before);
  const asked = { ...call.connection, mechanism: offered.current };
  const answer = await next.request({ ...call, connection: asked, preferences: offered.all });
  try {
    return { answer, endpoint: await take(ways, offered, answer, before) };
  } catch (error) {
    // A first request is undone by the chain; nobody else would close this one.
    if (call.established) await next.close({ ...call, connection: answer, preferences: [] }).catch(() => {});
    throw error;
  }
}

/** Where one of the two pods is gone, says which. */
async function put({ wanted, pods }: ConnectParts, kept: Kept, signal: AbortSignal): Promise<void> {
  try {
    await wanted.put(kept, signal);
  } catch (error) {
    const { client } = kept.connect;
    throw client.kind !== "kernel" || pods.exists(client.pod) ? endpointLost(error) : error;
  }
}

function crossConnect(id: string, client: Side, endpoint: Side, answer: Connection): CrossConnect {
  const mtu = [client, endpoint].map((side) => Number(side.mechanism.parameters.MTU ?? 0) || 0).reduce(lower, contextOf(answer).MTU);
  return {
    id,
    payload: answer.payload === ETHERNET ? "ETHERNET" : "IP",
    mtu: lower(mtu, localMtu),
    addresses: { ...addressesOf(answer), ...policiesOf(ipContextOf(answer).policies) },
    client,
    endpoint,
  };
}

function toClient(answer: Connection, made: CrossConnect, view: NodeView): Connection {
  const conn = withContext({ ...answer, mechanism: made.client.mechanism }, { MTU: effectiveMtu(made, view) });
  return withOwnMetrics(conn, sideMetrics(made));
}

function sameEndpoint(a: CrossConnect, b: CrossConnect): boolean {
  return JSON.stringify([a.endpoint, a.addresses, a.client]) === JSON.stringify([b.endpoint, b.addresses, b.client]);
}

/** With payload IP every neighbour is a permanent entry, so that nobody has to be told. */
function announceAll(announce: Announce, made: CrossConnect): void {
  if (made.payload !== "ETHERNET") return;
  for (const role of ["client", "endpoint"] as const) {
    const side = made[role];
    if (side.kind === "kernel") announce(side, ownAddresses(made.addresses, role).map(host), podMac(made, role));
  }
}

function ownAddresses(addresses: Addresses, role: Role): readonly string[] {
  return role === "client" ? addresses.src : addresses.dst;
}
