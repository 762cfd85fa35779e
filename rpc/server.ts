import type { ConnectionEvent, MonitorScopeSelector } from "../api/gen/connection/connection.js";
import type { Handler } from "../core/chain.js";
import { MeshError } from "../core/error.js";
import type { Log } from "../core/log.js";
import type { NodeApi } from "./node.js";
import type { EndpointRegistry, ServiceRegistry } from "./registry.js";

/** What can be watched: core's Monitor, or a stand-in. */
export interface MonitorSource {
  watch(selector: MonitorScopeSelector, signal: AbortSignal): AsyncIterable<ConnectionEvent>;
}

/** What a program offers; each part that is there is served. grpc.health.v1 is always served. */
export interface Services {
  readonly networkService?: Handler | undefined;
  readonly monitor?: MonitorSource | undefined;
  readonly services?: ServiceRegistry | undefined;
  readonly endpoints?: EndpointRegistry | undefined;
  readonly node?: NodeApi | undefined;
}

/** A server that listens. Disposing lets running calls finish for a moment, then ends them. */
export interface RunningServer extends AsyncDisposable {
  /** What is really bound: a port 0 is replaced by the port that was given. */
  readonly urls: readonly string[];
}

export interface ServeParts {
  readonly urls: readonly string[];
  readonly services: Services;
  readonly log: Log;
  /** The program's NSM_NAME; the hop in errors that start here. */
  readonly hop: string;
  readonly limits?: { readonly messageBytes?: number | undefined; readonly graceMs?: number | undefined } | undefined;
  /** Permissions of unix sockets, 0o600 unless given. */
  readonly socketMode?: number | undefined;
}

/** Listens on all URLs or on none. */
export async function serve(parts: ServeParts): Promise<RunningServer> {
  throw new MeshError("unsupported", `cannot listen on ${parts.urls.join(", ")} yet`);
}
