import type { Clock } from "../core/clock.js";
import type { Log } from "../core/log.js";
import type { TokenSource } from "../core/token.js";
import { CallingPeers } from "./calling.js";
import { GrpcTransport } from "./grpc.js";

export interface PeersParts {
  readonly tokens: TokenSource;
  readonly log: Log;
  /** gRPC's deadlines are in real time, so it must be too. */
  readonly clock: Clock;
  /** A dial that does not connect within it fails with "unreachable". */
  readonly dialTimeoutMs: number;
}

/**
 * The real PeerSet, over gRPC. Every call has a deadline: the signal's where it is known (see signals.ts), else 15 s.
 * Streams have none. A peer that died without a word is noticed within 13 s.
 */
export class Peers extends CallingPeers {
  constructor(parts: PeersParts) {
    super(new GrpcTransport(parts), parts.tokens);
  }
}
