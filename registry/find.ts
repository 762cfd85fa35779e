import { asMeshError } from "../core/error.js";
import type { Found } from "../rpc/registry.js";
import type { View } from "./view.js";

/** The answer of a find: what matches now; with `watch`, what changes after that. Without it, a signal that ends early is an error: the list is not whole. */
export function found<T>(view: View<T>, query: T, { watch }: { readonly watch: boolean }, signal: AbortSignal): AsyncIterable<Found<T>> {
  return watch ? view.watch(query, signal) : listed(view.find(query), signal);
}

async function* listed<T>(values: readonly T[], signal: AbortSignal): AsyncGenerator<Found<T>> {
  for (const value of values) {
    if (signal.aborted) throw asMeshError(signal.reason);
    yield { value, deleted: false };
  }
}
