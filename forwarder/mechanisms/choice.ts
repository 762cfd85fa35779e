import type { Connection, Mechanism } from "../../api/gen/connection/connection.js";
import type { Call } from "../../core/chain.js";
import { MeshError } from "../../core/error.js";
import { LOCAL, mechanismName, preferred } from "../../core/mechanism.js";
import { nextSegment } from "../../core/path.js";
import type { Side } from "../crossConnect.js";
import { checkSides } from "../desired.js";
import type { Way } from "./mechanism.js";

/** The ways of this node, the best first. Each is only ever given sides of its own kind. */
export type Ways = readonly Way[];

/** A way as it is where the kinds do not matter. */
export function way<S extends Side>(typed: Way<S>): Way {
  // A side reaches a way through `before`, which compares the kinds, or comes from the way itself.
  return typed as unknown as Way;
}

function before(side: Side | undefined, candidate: Way): Side | undefined {
  return side?.kind === candidate.kind ? side : undefined;
}

/** Towards the client: the first mechanism of the caller that this node can do. Throws "no-mechanism" with the reasons. */
export async function accept(ways: Ways, call: Call, side: Side | undefined): Promise<Side> {
  const { connection } = call;
  const asked = [...(connection.mechanism === undefined ? [] : [connection.mechanism]), ...call.preferences];
  const reasons: string[] = [];
  for (const mechanism of asked) {
    const found = ways.find(({ type, cls }) => type === mechanism.type && cls === mechanism.cls);
    const refusal = found === undefined ? `${mechanismName(mechanism)} is not known here` : found.refusal(connection);
    if (refusal !== undefined) reasons.push(refusal);
    else if (found !== undefined) return found.accept(checked(call, found), mechanism, before(side, found));
  }
  const known = ways.map((candidate) => candidate.kind).join(", ");
  const what = reasons.length === 0 ? "the request names no mechanism" : [...new Set(reasons)].join("; ");
  throw new MeshError("no-mechanism", `${what}; this node knows ${known}`);
}

/** Before anything is made for a connection that would only pass through. */
function checked(call: Call, { kind }: Way): Call {
  if (!isLocal(call.target)) checkSides(kind, "remote");
  return call;
}

/** What is asked of the next hop. */
export interface Offers {
  /** The mechanism that both have agreed on before, with our end as it is now. */
  readonly current: Mechanism | undefined;
  readonly all: readonly Mechanism[];
}

/** Towards the endpoint: a local interface where it is on this node, else what is asked by name, else all that can be, the best first. */
export async function offers(ways: Ways, call: Call, side: Side | undefined): Promise<Offers> {
  const usable = usableWays(ways, call);
  const fresh = nextSegment(call.connection) === undefined;
  const all: Mechanism[] = [];
  for (const candidate of usable) {
    const had = before(side, candidate);
    // A next hop that is new has nothing to do with the last one's pod; what is our own (VNI, port) is kept.
    all.push(await candidate.offer(call, fresh && candidate.cls === LOCAL ? undefined : had));
  }
  const again = all.find((mechanism, i) => usable[i]?.kind === side?.kind && mechanism.type === side?.mechanism.type);
  if (fresh || again === undefined || side === undefined) return { current: undefined, all };
  return { current: { ...again, parameters: { ...side.mechanism.parameters, ...again.parameters } }, all };
}

/** What the next hop chose, as a side. Throws "no-mechanism" for an answer without what was offered. */
export async function take(ways: Ways, offered: Offers, answer: Connection, side: Side | undefined): Promise<Side> {
  const { mechanism } = answer;
  const offer = offered.all.find(({ type, cls }) => type === mechanism?.type && cls === mechanism.cls);
  const found = ways.find(({ type, cls }) => type === mechanism?.type && cls === mechanism.cls);
  if (mechanism !== undefined && offer !== undefined && found !== undefined)
    return found.take(answer, mechanism, offer, before(side, found));
  const got = mechanism === undefined ? "no mechanism" : mechanismName(mechanism);
  throw new MeshError("no-mechanism", `the next hop answered with ${got}, offered was ${offered.all.map(mechanismName).join(", ")}`);
}

/** The way of a side. */
export function wayOf(ways: Ways, side: Side): Way | undefined {
  return ways.find(({ kind }) => kind === side.kind);
}

function usableWays(ways: Ways, call: Call): Way[] {
  const { connection, target } = call;
  if (isLocal(target)) return ways.filter(({ cls }) => cls === LOCAL);
  const wish = preferred(connection);
  const remote = ways.filter(({ cls, kind }) => cls !== LOCAL && (wish === undefined || wish === "kernel" || wish === kind));
  const refusals = remote.flatMap((candidate) => candidate.refusal(connection) ?? []);
  const usable = remote.filter((candidate) => candidate.refusal(connection) === undefined);
  if (usable.length > 0) return usable;
  throw new MeshError(
    "no-mechanism",
    `nothing can carry payload ${connection.payload} to ${target ?? "the next hop"}: ${refusals.join("; ")}`,
  );
}

/** Only whoever answers on a socket of this machine can be joined by an interface. */
export function isLocal(target: string | undefined): boolean {
  return target !== undefined && /^(unix|inode):/.test(target);
}
