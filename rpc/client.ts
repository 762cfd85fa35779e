import type { ConnectionEvent, MonitorScopeSelector } from "../api/gen/connection/connection.js";
import type { Handler } from "../core/chain.js";
import type { Clock } from "../core/clock.js";
import { MeshError } from "../core/error.js";
import type { Log } from "../core/log.js";
import type { TokenSource } from "../core/token.js";
import type { NodeClient } from "./node.js";
import type { PeerSet } from "./peers.js";
import type { EndpointRegistry, ServiceRegistry } from "./registry.js";

export interface PeersParts {
  readonly tokens: TokenSource;
  readonly log: Log;
  readonly clock: Clock;
  /** A dial that does not connect within it fails with "unreachable". */
  readonly dialTimeoutMs: number;
}

const later = () => new MeshError("unsupported", "not yet");

/** The real PeerSet, over gRPC. */
export class Peers implements PeerSet {
  constructor(_parts: PeersParts) {}
  networkService(): Handler {
    throw later();
  }
  monitor(_url: string, _selector: MonitorScopeSelector, _signal: AbortSignal): AsyncIterable<ConnectionEvent> {
    throw later();
  }
  services(_url: string): ServiceRegistry {
    throw later();
  }
  endpoints(_url: string): EndpointRegistry {
    throw later();
  }
  node(_url: string): NodeClient {
    throw later();
  }
  async health(_url: string, _signal: AbortSignal): Promise<boolean> {
    return false;
  }
  async [Symbol.asyncDispose](): Promise<void> {}
}
