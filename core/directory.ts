import type { NetworkService, NetworkServiceEndpoint } from "../api/gen/registry/registry.js";

/** What a hop knows of the registry when it chooses. Answers come from watches that are shared, so they cost no call once warm. */
export interface Directory {
  /** The service of that exact name, or undefined. */
  service(name: string, signal: AbortSignal): Promise<NetworkService | undefined>;
  /** The endpoints that serve it and have not expired, in no order. */
  endpointsOf(service: string, signal: AbortSignal): Promise<readonly NetworkServiceEndpoint[]>;
  /** The endpoint of that exact name, or undefined. */
  endpoint(name: string, signal: AbortSignal): Promise<NetworkServiceEndpoint | undefined>;
  /** Names of all services, for "did you mean". */
  serviceNames(signal: AbortSignal): Promise<readonly string[]>;
}
