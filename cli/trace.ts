import type { Connection, PathSegment } from "../api/gen/connection/connection.js";
import { State } from "../api/gen/connection/connection.js";
import type { Timestamp } from "../api/gen/google/protobuf/timestamp.js";

/** One hop of a connection's path, as its own metrics tell it. */
export interface Hop {
  readonly hop: number;
  readonly name: string;
  readonly id: string;
  /** "pod" and "endpoint" for the ends, which are no programs of their own. */
  readonly program: string;
  readonly node: string;
  readonly site: string;
  /** How the connection enters this hop and leaves it; empty where the hop has no hand in it. */
  readonly serverMechanism: string;
  readonly clientMechanism: string;
  readonly serverInterface: string;
  readonly clientInterface: string;
  readonly state: string;
  /** Milliseconds spent in this hop itself; undefined where it did not say. */
  readonly ms: number | undefined;
  /** When this hop's token ends (RFC 3339), empty if it has none. */
  readonly expires: string;
  /** Seconds until then, negative if that is over. */
  readonly expiresInSeconds: number | undefined;
  /** What else the hop tells: counters, the UDP port, the data path. */
  readonly metrics: Readonly<Record<string, string>>;
}

const shown = new Set(
  ["program", "node", "site", "ms", "server_mechanism", "client_mechanism", "server_interface", "client_interface"].flatMap((key) => [
    key,
    `isthmus.${key}`,
  ]),
);

/** Every hop of a connection's path. `now` is in milliseconds since 1970. */
export function traceOf(connection: Connection, now: number): Hop[] {
  const segments = connection.path?.pathSegments ?? [];
  const inclusive = segments.map(spent);
  return segments.map((segment, at) => ({
    hop: at + 1,
    name: segment.name,
    id: segment.id,
    program: metric(segment, "program") || endOf(at, segments.length),
    node: metric(segment, "node") || neighbour(segments, at, "node"),
    site: metric(segment, "site") || neighbour(segments, at, "site"),
    serverMechanism: metric(segment, "server_mechanism"),
    clientMechanism: metric(segment, "client_mechanism"),
    serverInterface: metric(segment, "server_interface"),
    clientInterface: metric(segment, "client_interface"),
    state: stateOf(connection, segment),
    ms: own(inclusive, at),
    expires: rfc3339(segment.expires),
    expiresInSeconds: segment.expires === undefined ? undefined : Math.round(milliseconds(segment.expires) / 1000 - now / 1000),
    metrics: Object.fromEntries(Object.entries(segment.metrics).filter(([key]) => !shown.has(key))),
  }));
}

/** A metric of ours, or NSM's of the same name where a hop is not one of ours. */
export function metric(segment: PathSegment, key: string): string {
  return segment.metrics[`isthmus.${key}`] ?? segment.metrics[key] ?? "";
}

// The ends of a path live in the nsmgr beside them and name no program.
function endOf(at: number, count: number): string {
  if (at === 0) return "pod";
  return at === count - 1 ? "endpoint" : "";
}

function neighbour(segments: readonly PathSegment[], at: number, key: string): string {
  const beside = at === 0 ? segments[1] : at === segments.length - 1 ? segments[at - 1] : undefined;
  return beside === undefined ? "" : metric(beside, key);
}

function stateOf(connection: Connection, segment: PathSegment): string {
  if (metric(segment, "datapath") === "dead") return "DOWN";
  return stateName(connection.state);
}

/** UP, DOWN, REFRESH_REQUESTED or RESELECT_REQUESTED. */
export function stateName(state: State): string {
  return Object.entries(State).find(([, value]) => value === state)?.[0] ?? String(state);
}

// A hop's figure includes all hops after it: its own share is the difference to the next one that tells.
function own(inclusive: readonly (number | undefined)[], at: number): number | undefined {
  const mine = inclusive[at];
  if (mine === undefined) return undefined;
  const next = inclusive.slice(at + 1).find((ms) => ms !== undefined) ?? 0;
  return Math.max(0, Math.round((mine - next) * 100) / 100);
}

function spent(segment: PathSegment): number | undefined {
  const ms = Number.parseFloat(metric(segment, "ms"));
  return Number.isFinite(ms) ? ms : undefined;
}

/** As RFC 3339 says it, empty when there is none. */
export function rfc3339(time: Timestamp | undefined): string {
  return time === undefined ? "" : new Date(milliseconds(time)).toISOString();
}

function milliseconds(time: Timestamp): number {
  return Number(time.seconds) * 1000 + Math.floor(time.nanos / 1e6);
}
