import type { NetworkService, NetworkServiceEndpoint } from "../api/gen/registry/registry.js";
import type { Token } from "../core/chain.js";
import type { Link } from "../core/peer.js";

/** The path of a registration: one token per hop, carried in the metadata key `path` both ways (contract 1.3). */
export interface RegistryPath {
  /** The segment of the hop that holds it. */
  readonly index: number;
  readonly tokens: readonly string[];
}

/** What comes with a call to a registry besides the message. */
export interface RegistryContext {
  /** Ends with the caller's patience, or with the caller. */
  readonly signal: AbortSignal;
  /** What the caller's transport presented. Absent where the call starts in this process. */
  readonly caller?: Token | undefined;
  /** The authenticated connection that it came by; only for a server. */
  readonly link?: Link | undefined;
  /** The path as the caller sent it; given to a client, it is sent on. */
  readonly path?: RegistryPath | undefined;
  /** A server calls it, at most once and before it answers, with the path to return; a client calls it with what the peer returned. */
  readonly returnPath?: ((path: RegistryPath) => void) | undefined;
}

/** One answer of a find. `deleted` only occurs while watching; then only the value's name counts. */
export interface Found<T> {
  readonly value: T;
  readonly deleted: boolean;
}

/** A registry of services or of endpoints: the same shape on the server, on the client, and in between (a proxy). */
export interface Registry<T> {
  /** Makes or renews it; returns it as it was stored. */
  register(value: T, context: RegistryContext): Promise<T>;
  /** Success also when it is not there. */
  unregister(value: T, context: RegistryContext): Promise<void>;
  /**
   * What matches now, and with `watch` every change after that until the signal ends (then it returns, without an error).
   * Queued changes of a slow reader are the implementation's to bound: coalesce by name.
   */
  find(query: T, options: { readonly watch: boolean }, context: RegistryContext): AsyncIterable<Found<T>>;
}

export type ServiceRegistry = Registry<NetworkService>;
export type EndpointRegistry = Registry<NetworkServiceEndpoint>;
