import assert from "node:assert/strict";
import { NetworkService, NetworkServiceEndpoint } from "../../../api/gen/registry/registry.js";
import type { Token } from "../../../core/chain.js";
import { MeshError } from "../../../core/error.js";
import { silent } from "../../../core/log.js";
import { toTimestamp } from "../../../core/timestamp.js";
import { openMemoryStore } from "../../../registry/memory.js";
import { openRegistries, type Registries } from "../../../registry/start.js";
import type { Store } from "../../../registry/store.js";
import type { Found, RegistryContext } from "../../../rpc/registry.js";
import { FakeClock } from "../../lib/fakeClock.js";

export const registryId = "spiffe://paris/node-1/registry";
export const periodMs = 60_000;

/** A registry in this process, with time that stands still. */
export interface Site extends Registries {
  readonly clock: FakeClock;
  readonly store: Store;
}

export async function openSite(parts: { readonly clock?: FakeClock; readonly store?: Store } = {}): Promise<Site> {
  const clock = parts.clock ?? new FakeClock();
  const store = parts.store ?? openMemoryStore({ clock, log: silent });
  const tokens = async () => ({ token: jwt(registryId), expires: clock.now() + 600_000 });
  const registries = await openRegistries({ clock, log: silent, store, tokens, expirePeriodMs: periodMs });
  return {
    ...registries,
    clock,
    store,
    [Symbol.asyncDispose]: async () => {
      await registries[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
    },
  };
}

/** A token that says who, signed by nobody. */
export function jwt(sub: string): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "ES256" })}.${part({ sub })}.`;
}

export function token(sub: string, expires = Number.MAX_SAFE_INTEGER): Token {
  return { token: jwt(sub), expires };
}

/** A call by `sub`, straight to the registry. */
export function by(sub: string, more: Partial<RegistryContext> = {}): RegistryContext {
  return { signal: AbortSignal.timeout(5_000), caller: token(sub), ...more };
}

/** A call that `client` made through `nsmgr`, as NSM's path has it. */
export function through(client: string, nsmgr: string): RegistryContext {
  return by(nsmgr, { path: { index: 1, tokens: [jwt(client), jwt(nsmgr)] } });
}

export function endpoint(name: string, more: Partial<NetworkServiceEndpoint> = {}): NetworkServiceEndpoint {
  return { ...NetworkServiceEndpoint.decode(new Uint8Array()), name, ...more };
}

/** An endpoint that serves `service` with `labels`. */
export function serving(name: string, service: string, labels: Record<string, string> = {}): NetworkServiceEndpoint {
  return endpoint(name, { url: "tcp://10.0.0.1:5001", networkServiceNames: [service], networkServiceLabels: { [service]: { labels } } });
}

export function service(name: string, more: Partial<NetworkService> = {}): NetworkService {
  return { ...NetworkService.decode(new Uint8Array()), name, ...more };
}

export function at(ms: number) {
  return toTimestamp(ms);
}

/** The names of what is found now, sorted. */
export async function names<T extends { name: string }>(found: AsyncIterable<Found<T>>): Promise<string[]> {
  const all: string[] = [];
  for await (const { value } of found) all.push(value.name);
  return all.sort();
}

/** Reads a watch one by one; each `next` waits for what comes. */
export function reading<T extends { name: string }>(found: AsyncIterable<Found<T>>) {
  const iterator = found[Symbol.asyncIterator]();
  return {
    next: async (): Promise<string> => {
      const { value, done } = await iterator.next();
      if (done) return "end";
      return value.deleted ? `-${value.value.name}` : `+${value.value.name}`;
    },
  };
}

/** Passes when it fails with the code and, where given, with a sentence that has `sentence` in it. */
export async function refused(code: string, call: () => unknown, sentence: RegExp = /./): Promise<void> {
  await assert.rejects(
    async () => call(),
    (error) => {
      assert.ok(error instanceof MeshError, String(error));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, sentence);
      return true;
    },
  );
}
