import type { Clock } from "../core/clock.js";
import type { Log } from "../core/log.js";
import type { Expected } from "../identity/expected.js";
import type { Showing } from "../identity/identity.js";
import { CallingPeers } from "./calling.js";
import { GrpcTransport } from "./grpc.js";

export interface PeersParts {
  /** Without it calls go without TLS: to sockets of isthmus.v1. */
  readonly identity?: Showing | undefined;
  /** Whom to expect at a URL; needed with an identity. */
  readonly expect?: ((url: string) => Expected) | undefined;
  readonly log: Log;
  /** gRPC's deadlines are in real time, so it must be too. */
  readonly clock: Clock;
  /** A dial that does not connect within it fails with "unreachable". */
  readonly dialTimeoutMs: number;
  /** The largest answer that is taken; `limits.answer` unless given. */
  readonly answerBytes?: number | undefined;
}

/**
 * The real PeerSet, over gRPC. Every call has a deadline: the signal's where it is known (see signals.ts), else 15 s.
 * Streams have none. A peer that died without a word is noticed within 13 s.
 */
export class Peers extends CallingPeers {
  constructor(parts: PeersParts) {
    super(new GrpcTransport(parts), parts.clock);
  }
}
