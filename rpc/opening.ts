import type { Registry } from "./registry.js";
import { linked } from "./signals.js";

/** What a watch on a registry keeps current. */
export interface Kept<T> {
  learn(value: T): void;
  forget(name: string): void;
  names(): Iterable<string>;
}

export interface OpeningParts<T> {
  readonly registry: Pick<Registry<T>, "find">;
  readonly query: T;
  readonly nameOf: (value: T) => string;
  readonly kept: Kept<T>;
}

/**
 * Opens a watch that keeps `kept` as the query is answered. A watch alone never says "that was all", so it also lists: the watch is opened
 * first and its word counts for more than the list's, which was made at some moment after that; what neither names any more is forgotten.
 * `listed` rejects, and the watch ends, when the list cannot be had; `ended` resolves with why the watch ended.
 */
export function openWatch<T>(
  parts: OpeningParts<T>,
  signal: AbortSignal,
): { readonly listed: Promise<void>; readonly ended: Promise<unknown> } {
  const attempt = linked(signal);
  // Names that the watch has spoken of; of interest only until the list is there.
  const told = new Set<string>();
  let listing = true;
  const tell = (name: string) => listing && told.add(name);
  const ended = follow(parts, tell, attempt.signal)
    .catch((error: unknown) => error)
    .finally(() => attempt[Symbol.dispose]());
  const listed = learnAll(parts, told, attempt.signal).catch((error: unknown) => {
    attempt.abort();
    throw error;
  });
  return {
    ended,
    listed: listed.finally(() => {
      listing = false;
      told.clear();
    }),
  };
}

/** Everything that a query matches at this moment. */
export async function list<T>(registry: Registry<T>, query: T, signal: AbortSignal): Promise<T[]> {
  const values: T[] = [];
  for await (const { value, deleted } of registry.find(query, { watch: false }, { signal })) if (!deleted) values.push(value);
  // A stream whose signal ended is no complete answer.
  signal.throwIfAborted();
  return values;
}

/** Each as it comes: nobody knows how many there will be. */
async function learnAll<T>(parts: OpeningParts<T>, told: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
  const { registry, query, nameOf, kept } = parts;
  const names = new Set<string>();
  for await (const { value, deleted } of registry.find(query, { watch: false }, { signal })) {
    if (deleted) continue;
    names.add(nameOf(value));
    if (!told.has(nameOf(value))) kept.learn(value);
  }
  // A stream whose signal ended is no complete answer.
  signal.throwIfAborted();
  for (const name of [...kept.names()]) if (!names.has(name) && !told.has(name)) kept.forget(name);
}

async function follow<T>(parts: OpeningParts<T>, tell: (name: string) => void, signal: AbortSignal): Promise<void> {
  const { registry, query, nameOf, kept } = parts;
  for await (const { value, deleted } of registry.find(query, { watch: true }, { signal })) {
    tell(nameOf(value));
    if (deleted) kept.forget(nameOf(value));
    else kept.learn(value);
  }
}
