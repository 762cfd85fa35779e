import type { Clock } from "../../core/clock.js";
import type { Log } from "../../core/log.js";
import type { SocketPlace } from "../../kernel/boundSocket.js";
import type { Netns } from "../../kernel/model.js";
import { Answering, type AnsweringLimits, type ResolverStats } from "./answering.js";
import { Forwarding } from "./forwarding.js";
import { Shares } from "./shares.js";
import { listenTcp } from "./tcpListener.js";
import { listenUdp } from "./udpListener.js";
import { parseUpstream } from "./upstream.js";
import type { Zone } from "./zone.js";

export type { ResolverStats } from "./answering.js";
export { Zone } from "./zone.js";

export interface ResolverLimits extends AnsweringLimits {
  /** TCP connections that are open at a time. */
  readonly connections: number;
}

export interface ResolverParts {
  /** Where its clients are. It lives as long as the resolver does. */
  readonly netns: string | Netns;
  /** Of that namespace. A link-local one is with its device, or is on every device that has it, also on those that come later. */
  readonly addresses: readonly Omit<SocketPlace, "port">[];
  /** 53 unless given. */
  readonly port?: number;
  /** The names of now: asked at each question. */
  readonly zone: () => Zone;
  /** Who is asked for all other names, from this process's own namespace, as `192.0.2.53` or `[2001:db8::53]:5353`; nobody where empty. */
  readonly upstreams: readonly string[];
  readonly limits?: Partial<ResolverLimits>;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Resolver extends AsyncDisposable {
  stats(): ResolverStats;
}

const usual: ResolverLimits = { clientRate: 1_000, rate: 5_000, outstanding: 256, connections: 128 };

/**
 * A resolver that listens in a segment's network namespace, UDP and TCP. Resolves when it answers. An address that is not there yet is
 * "kernel"; what had been opened by then is closed.
 */
export async function openResolver(parts: ResolverParts): Promise<Resolver> {
  const { netns, addresses, port = 53, clock, log } = parts;
  const limits = { ...usual, ...parts.limits };
  const forwarding = new Forwarding({ upstreams: parts.upstreams.map(parseUpstream), clock });
  const answering = new Answering({ zone: parts.zone, forwarding, limits, clock, log });
  const connections = new Shares(limits.connections);
  const listeners: AsyncDisposable[] = [];
  const close = async () => void (await Promise.all(listeners.map((listener) => listener[Symbol.asyncDispose]())));
  try {
    for (const address of addresses) {
      const shared = { netns, place: { ...address, port }, answering, log };
      listeners.push(listenUdp(shared));
      listeners.push(await listenTcp({ ...shared, clock, connections }));
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { stats: () => answering.stats(), [Symbol.asyncDispose]: close };
}
