import type { Clock } from "../../core/clock.js";
import type { Log } from "../../core/log.js";
import { handshake } from "./handshake.js";
import type { TunnelLink } from "./link.js";
import type { Peer, Peers } from "./peers.js";

/** What the answering side knows of its peer. */
export interface Expected {
  /** Where the peer says it is reached; undefined: nowhere. */
  readonly endpoint: string | undefined;
  /** This node has said that it cannot be reached, so the peer waits. */
  readonly begins: boolean;
  /** How long the peer may take to begin, before this side does; a second unless told. */
  readonly comingMs?: number | undefined;
}

export interface MeetingParts {
  readonly link: Pick<TunnelLink, "status" | "reaches">;
  readonly device: string;
  readonly peers: Pick<Peers, "get" | "keep" | "again">;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** For a peer that is to begin: a whole handshake takes milliseconds, on a slow way some hundreds of them. */
const usualMs = 1_000;
const patienceMs = 15_000;
const attempts = 3;
/** The asking side waits for 6 s; together these are twice as much. */
const pauseMs = { first: 50, last: 6_400 };

/**
 * The answering side: waits for the peer to begin. Where this side has said that it begins, or the peer does not come, it goes to where
 * the peer says it is: one of the two is enough. Resolves whether there is a session.
 */
export async function meet(parts: MeetingParts, peer: Peer, { endpoint, begins, comingMs = usualMs }: Expected): Promise<boolean> {
  const { peers, log, signal } = parts;
  const { address, publicKey } = peer.value;
  const comes = (withinMs: number) => handshake(parts, { device: parts.device, publicKey }, withinMs, signal);
  const since = parts.clock.now();
  if ((await comes(begins ? 0 : comingMs)) && (await isGood(parts, peer, since))) return true;
  if (endpoint === undefined) return await comes(patienceMs);
  log.info("peer does not come, beginning here", { peer: address, endpoint, wanted: begins });
  // It does not know us before it has our answer: what comes too early it drops, and WireGuard itself asks again after 5 s only.
  for (let pause = pauseMs.first; pause <= pauseMs.last; pause *= 2) {
    // Another key has come in its place.
    if (peers.get(address) !== peer) return false;
    if (peer.value.endpoint !== endpoint) await peers.keep({ ...peer.value, endpoint });
    await peers.again(address, signal);
    if (await comes(pause)) return true;
  }
  log.warn("peer not met", { peer: address, endpoint });
  return false;
}

/** An old session may be of no use any more, if the peer has forgotten us: so it is tried. Some lost packets are no reason to end it. */
async function isGood({ link, device, signal }: MeetingParts, { value }: Peer, since: number): Promise<boolean> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const status = (await link.status(device)).find(({ publicKey }) => publicKey === value.publicKey);
    if (status !== undefined && status.lastHandshake >= since) return true;
    if (await link.reaches(value.address, signal)) return true;
  }
  return false;
}
