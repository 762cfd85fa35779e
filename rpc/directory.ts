import type { NetworkService, NetworkServiceEndpoint } from "../api/gen/registry/registry.js";
import type { Clock } from "../core/clock.js";
import type { Directory } from "../core/directory.js";
import { MeshError } from "../core/error.js";
import type { Log } from "../core/log.js";
import type { EndpointRegistry, ServiceRegistry } from "./registry.js";

/** A Directory fed by watches on a registry. */
export class WatchedDirectory implements Directory, AsyncDisposable {
  constructor(_parts: {
    readonly services: ServiceRegistry;
    readonly endpoints: EndpointRegistry;
    readonly clock: Clock;
    readonly log: Log;
  }) {}
  async service(_name: string, _signal: AbortSignal): Promise<NetworkService | undefined> {
    throw new MeshError("unsupported", "not yet");
  }
  async endpointsOf(_service: string, _signal: AbortSignal): Promise<readonly NetworkServiceEndpoint[]> {
    throw new MeshError("unsupported", "not yet");
  }
  async endpoint(_name: string, _signal: AbortSignal): Promise<NetworkServiceEndpoint | undefined> {
    throw new MeshError("unsupported", "not yet");
  }
  async serviceNames(_signal: AbortSignal): Promise<readonly string[]> {
    throw new MeshError("unsupported", "not yet");
  }
  async [Symbol.asyncDispose](): Promise<void> {}
}
