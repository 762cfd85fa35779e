#!/usr/bin/env node
import type { Clock } from "../core/clock.js";
import { MeshError } from "../core/error.js";
import type { Log } from "../core/log.js";

/** What a registry can be told; main.ts reads it from NSM_* variables, flags or a file. */
export interface RegistryConfig {
  readonly name: string;
  readonly site: string;
  readonly listenOn: readonly string[];
  readonly store: "lmdb" | "memory";
  readonly stateDir: string;
  readonly maxTokenLifetime: number;
  /** The longest life of an endpoint that is not registered again, milliseconds. */
  readonly expirePeriod: number;
}

/** A registry that answers. Disposing ends its watches, then its store. */
export interface RunningRegistry extends AsyncDisposable {
  /** What is really bound. */
  readonly urls: readonly string[];
}

/** Starts a registry in this process. */
export async function start(config: RegistryConfig, _parts: { readonly clock: Clock; readonly log: Log }): Promise<RunningRegistry> {
  throw new MeshError("unsupported", `the registry ${config.name} cannot start yet`);
}
