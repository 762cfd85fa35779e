import type { StickyClaim, StickyLease } from "../api/gen/isthmus/v1/segment.js";
import type { Link } from "../core/peer.js";
import { unary } from "./bind.js";
import type { Caller } from "./caller.js";
import { stickyMethods } from "./methods.js";
import type { Answering } from "./transport.js";

/** A name in a segment, and for whom. */
export interface StickyAsk {
  readonly segment: string;
  /** A DNS label. */
  readonly name: string;
  /** The client's id of the connection by which the member joins. */
  readonly connection: string;
  /** The SPIFFE ids of the programs that the connection is of; the caller's unless given. Who passes it on says them. */
  readonly forwarder?: string | undefined;
  readonly nsmgr?: string | undefined;
}

/**
 * isthmus.v1.StickyAddresses: addresses that belong to a name, and move along with the member that joins by it. Every failure is a
 * MeshError. `link` is absent for a client.
 */
export interface StickyApi {
  /**
   * Who claims it last has it, with the addresses that the name always had. "moved" for a connection that it was taken from, "unreachable"
   * while the site that keeps the names of the segment is away, "exists" where it has, or another has, other addresses than are wished for.
   */
  claim(ask: StickyAsk & { readonly wishes: readonly string[] }, signal: AbortSignal, link?: Link): Promise<StickyLease>;
  /** Nobody has it from now on. Success, and no change, where another has it. */
  release(ask: StickyAsk, signal: AbortSignal, link?: Link): Promise<void>;
}

/** What it answers on the wire. */
export function sticky(api: StickyApi): Answering[] {
  return [
    unary(stickyMethods.claim, (claim, { signal, link }) => api.claim({ ...askOf(claim), wishes: claim.wishes }, signal, link)),
    unary(stickyMethods.release, async (claim, { signal, link }) => {
      await api.release(askOf(claim), signal, link);
      return {};
    }),
  ];
}

/** isthmus.v1.StickyAddresses at a URL. */
export function stickyClient(caller: Caller, url: string): StickyApi {
  const { claim, release } = stickyMethods;
  return {
    claim: (ask, signal) => caller.unary(url, claim, messageOf(ask), { signal }),
    release: async (ask, signal) => void (await caller.unary(url, release, messageOf({ ...ask, wishes: [] }), { signal })),
  };
}

function askOf({ segment, name, connection, forwarder, nsmgr }: StickyClaim): StickyAsk {
  return { segment, name, connection, forwarder: forwarder || undefined, nsmgr: nsmgr || undefined };
}

function messageOf({ forwarder = "", nsmgr = "", wishes, ...ask }: StickyAsk & { readonly wishes: readonly string[] }): StickyClaim {
  return { ...ask, forwarder, nsmgr, wishes: [...wishes] };
}
