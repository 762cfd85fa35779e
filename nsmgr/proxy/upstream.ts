import type { Clock } from "../../core/clock.js";
import { asMeshError, isAway } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import type { Found, Registry, RegistryContext } from "../../rpc/registry.js";

/** Answers kept for a time without a registry; the oldest goes first, and one that is a whole site's list is not kept. */
const keptAnswers = 2_000;
const longestAnswer = 1_000;
const firstRetryMs = 200;
const lastRetryMs = 2_000;

export interface UpstreamParts<T> {
  readonly registry: Registry<T>;
  /** The same for equal queries. */
  readonly key: (query: T) => string;
  readonly name: (value: T) => string;
  readonly clock: Clock;
  readonly log: Log;
}

/** The site's registry, made bearable: what it last answered is given again while it is away, and a watch outlives its restarts. */
export class Upstream<T> {
  readonly #parts: UpstreamParts<T>;
  readonly #answers = new Map<string, readonly T[]>();

  constructor(parts: UpstreamParts<T>) {
    this.#parts = parts;
  }

  get registry(): Registry<T> {
    return this.#parts.registry;
  }

  /** What matches now. `fresh` is false when the registry is away and this is what it said last; "unreachable" if it never was asked this. */
  async list(query: T, context: RegistryContext): Promise<{ readonly values: readonly T[]; readonly fresh: boolean }> {
    const key = this.#parts.key(query);
    try {
      const values = await this.#collect(query, context);
      this.#keep(key, values);
      return { values, fresh: true };
    } catch (error) {
      const kept = this.#answers.get(key);
      if (kept === undefined || !isAway(error)) throw error;
      this.#parts.log.debug("registry away, answering from memory", { matches: kept.length });
      return { values: kept, fresh: false };
    }
  }

  /**
   * Every match and change, through outages and from one connection to the next: after one, what vanished meanwhile is told as deleted.
   * Ends with the signal.
   */
  async *watch(query: T, context: RegistryContext): AsyncGenerator<Found<T>> {
    const { name, clock, log } = this.#parts;
    const seen = new Map<string, T>();
    let retryMs = firstRetryMs;
    for (let first = true; !context.signal.aborted; first = false) {
      try {
        if (!first) yield* this.#difference(seen, query, context);
        for await (const found of this.#parts.registry.find(query, { watch: true }, context)) {
          retryMs = firstRetryMs;
          if (found.deleted) seen.delete(name(found.value));
          else seen.set(name(found.value), found.value);
          yield found;
        }
      } catch (error) {
        if (context.signal.aborted) return;
        if (!isAway(error) && asMeshError(error).code !== "expired") throw error;
        log.debug("watch on the registry lost", { error: asMeshError(error).message, retryMs });
      }
      await clock.sleep(retryMs, context.signal).catch(() => {});
      retryMs = Math.min(retryMs * 2, lastRetryMs);
    }
  }

  async *#difference(seen: Map<string, T>, query: T, context: RegistryContext): AsyncGenerator<Found<T>> {
    const now = await this.#collect(query, context);
    const names = new Set(now.map(this.#parts.name));
    for (const [name, value] of [...seen]) {
      if (names.has(name)) continue;
      seen.delete(name);
      yield { value, deleted: true };
    }
  }

  async #collect(query: T, context: RegistryContext): Promise<T[]> {
    const values: T[] = [];
    for await (const found of this.#parts.registry.find(query, { watch: false }, context)) if (!found.deleted) values.push(found.value);
    return values;
  }

  #keep(key: string, values: readonly T[]): void {
    this.#answers.delete(key);
    if (values.length > longestAnswer) return;
    this.#answers.set(key, values);
    const oldest = this.#answers.keys().next();
    if (this.#answers.size > keptAnswers && !oldest.done) this.#answers.delete(oldest.value);
  }
}
