import type { Clock } from "../../core/clock.js";
import { MeshError } from "../../core/error.js";
import { list } from "../../rpc/opening.js";
import type { PeerSet } from "../../rpc/peers.js";
import type { Found, Registry, RegistryContext } from "../../rpc/registry.js";
import { linked, onAbort, timeLimit } from "../../rpc/signals.js";
import type { Asked } from "./asked.js";
import { foundAbroad } from "./exported.js";
import type { Federation } from "./federation.js";
import type { Wish } from "./interest.js";
import { overlay } from "./overlay.js";
import { type Peer, settledWithin } from "./peer.js";
import type { Site } from "./site.js";

/** For the first answer of other sites, where the own one has none, and for their lists. Nobody waits for a site that is away. */
const patienceMs = 1_000;

export interface FederatedParts<T> {
  /** The own site's. */
  readonly own: Registry<T>;
  readonly federation: Federation;
  readonly asked: (query: T) => Asked<T>;
  /** What is known of other sites. */
  readonly known: (query: T) => { find(query: T): T[]; watch(query: T, signal: AbortSignal): AsyncIterable<Found<T>> };
  /** A thing as other sites see it; undefined where they do not. */
  readonly abroad: (value: T) => T | undefined;
  /** What another site shows, as it is called here; undefined for what is no good here. */
  readonly imported: (value: T, site: Site) => T | undefined;
  /** The registry of the same kind there. */
  readonly there: (peers: PeerSet, url: string) => Registry<T>;
  readonly clock: Clock;
}

/**
 * A registry of a site that is joined with others. The own site's things are answered for at once; those of others come in by interest:
 * what somebody asks for is watched there, once, and for all. Who is of another site finds what is of this one; what of it, and whether it
 * may register, the policy says before it comes here.
 */
export class Federated<T extends { readonly name: string }> implements Registry<T> {
  readonly #parts: FederatedParts<T>;

  constructor(parts: FederatedParts<T>) {
    this.#parts = parts;
  }

  register(value: T, context: RegistryContext): Promise<T> {
    return this.#parts.own.register(value, context);
  }

  unregister(value: T, context: RegistryContext): Promise<void> {
    return this.#parts.own.unregister(value, context);
  }

  async *find(query: T, options: { readonly watch: boolean }, context: RegistryContext): AsyncGenerator<Found<T>> {
    const { own, federation, abroad } = this.#parts;
    const caller = context.link && federation.siteOf(context.link.peer);
    if (caller !== undefined) yield* foundAbroad({ own, abroad, life: caller.signal }, query, options, context);
    else if (options.watch) yield* this.#watch(query, context);
    else for (const value of await this.#list(query, context)) yield { value, deleted: false };
  }

  async #list(query: T, context: RegistryContext): Promise<readonly T[]> {
    const asked = this.#parts.asked(query);
    switch (asked.of) {
      case "own":
        return (await this.#own(asked.query, context)).map(asked.back);
      case "site":
        return await this.#listThere(asked, query, context.signal);
      case "all":
        return await this.#listAll(asked.wishes, query, context);
      case "nobody":
        return [];
    }
  }

  /** What is known of a site that is away; "unreachable" where that is nothing. */
  async #listThere(
    { site, wishes }: { readonly site: string; readonly wishes: readonly Wish[] },
    query: T,
    signal: AbortSignal,
  ): Promise<readonly T[]> {
    const { federation, known, clock } = this.#parts;
    const peer = federation.peer(site);
    const wants = wishes.map((wish) => peer.want(wish));
    try {
      await settledWithin(
        clock,
        patienceMs,
        wants.map(({ settled }) => settled),
        signal,
      );
      const found = known(query).find(query);
      if (found.length === 0 && peer.state !== "up") throw away(peer);
      return found;
    } finally {
      for (const want of wants) want[Symbol.dispose]();
    }
  }

  async #listAll(wishes: readonly Wish[], query: T, context: RegistryContext): Promise<readonly T[]> {
    const { federation, known, clock } = this.#parts;
    const wants = wishes.map((wish) => federation.want(wish));
    try {
      const own = await this.#own(query, context);
      const everything = wishes.length === 0 ? await this.#everything(query, context.signal) : [];
      if (own.length === 0 && wants.length > 0)
        await settledWithin(
          clock,
          patienceMs,
          wants.flatMap(({ settled }) => settled),
          context.signal,
        );
      return underneath(own, everything, known(query).find(query));
    } finally {
      for (const want of wants) want[Symbol.dispose]();
    }
  }

  /** For who wants to see it all: every site that is there is asked for its list, once. */
  async #everything(query: T, signal: AbortSignal): Promise<T[]> {
    const { federation, there, imported, clock } = this.#parts;
    using limit = timeLimit(clock, patienceMs, signal);
    const asked = federation.peers.map(async (peer) => {
      const values = await peer.list(there, query, limit.signal).catch(() => []);
      return values.flatMap((value) => imported(value, peer.site) ?? []);
    });
    return (await Promise.all(asked)).flat();
  }

  async *#watch(query: T, context: RegistryContext): AsyncGenerator<Found<T>> {
    const { own, federation, known } = this.#parts;
    const asked = this.#parts.asked(query);
    if (asked.of === "nobody") return await ended(context.signal);
    if (asked.of === "site") return yield* this.#watchThere(asked, query, context.signal);
    if (asked.of === "own") {
      for await (const { value, deleted } of own.find(asked.query, { watch: true }, context)) yield { value: asked.back(value), deleted };
      return;
    }
    const wants = asked.wishes.map((wish) => federation.want(wish));
    try {
      const first = (signal: AbortSignal) => own.find(query, { watch: true }, { ...context, signal });
      yield* overlay<T>({ first, second: (signal) => known(query).watch(query, signal) }, context.signal);
    } finally {
      for (const want of wants) want[Symbol.dispose]();
    }
  }

  /** Ends with an error when the site is left: who still wants it is to ask anew, for it may be joined again. */
  async *#watchThere(
    { site, wishes }: { readonly site: string; readonly wishes: readonly Wish[] },
    query: T,
    signal: AbortSignal,
  ): AsyncGenerator<Found<T>> {
    const peer = this.#parts.federation.peer(site);
    const wants = wishes.map((wish) => peer.want(wish));
    using life = linked(signal);
    using _left = onAbort(peer.signal, () => life.abort());
    try {
      yield* this.#parts.known(query).watch(query, life.signal);
      if (!signal.aborted) throw new MeshError("unreachable", `the site ${site} was left`);
    } finally {
      for (const want of wants) want[Symbol.dispose]();
    }
  }

  #own(query: T, context: RegistryContext): Promise<T[]> {
    return list(this.#parts.own, query, context.signal);
  }
}

/** Those of the later lists are left out whose names an earlier one has. */
function underneath<T extends { readonly name: string }>(...lists: readonly (readonly T[])[]): T[] {
  const named = new Map<string, T>();
  for (const value of lists.flat()) if (!named.has(value.name)) named.set(value.name, value);
  return [...named.values()];
}

function away({ site, state, reason }: Peer): MeshError {
  const why = state === "joining" ? "it was not reached yet" : reason;
  return new MeshError("unreachable", `the site ${site.name} does not answer, and nothing is known of that there: ${why}`);
}

function ended(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => void onAbort(signal, resolve));
}
