import type { SegmentList } from "../../api/gen/isthmus/v1/segment.js";
import type { SiteInfo } from "../../api/gen/isthmus/v1/site.js";
import type { NetworkService, NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import { background } from "../../core/background.js";
import type { Clock } from "../../core/clock.js";
import { asMeshError, MeshError } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import { list } from "../../rpc/opening.js";
import type { PeerSet } from "../../rpc/peers.js";
import { linked, onAbort, timeLimit } from "../../rpc/signals.js";
import type { Imported } from "./imported.js";
import { Interest, type Wish, wishKey } from "./interest.js";
import { beatMs, isBeat, type Site } from "./site.js";

/** Without a sign of life for so long it is away. */
const silenceMs = 3 * beatMs;
/** Between two attempts to reach a site that is away: short enough to see its return at once, and never the same for two. */
const pauseMs = { least: 200, most: 400 };
/** Between two attempts at a site that refuses us, at the most: it may just not have heard of us yet, or will not for long. */
const refusedMs = 10_000;
/** A wish is kept for so long after the last who had it. */
const keptMs = 60_000;

export interface PeerParts {
  /** Connections to a registry of the site, and to nobody else. */
  readonly dial: (site: Site) => PeerSet;
  readonly services: Imported<NetworkService>;
  readonly endpoints: Imported<NetworkServiceEndpoint>;
  /** Hears what the site says of itself. */
  readonly told: (info: SiteInfo) => Promise<void>;
  /** Follows the segments that the site tells, as long as it is reached. Never rejects. */
  readonly segments: (watch: (signal: AbortSignal) => AsyncIterable<SegmentList>, signal: AbortSignal) => Promise<void>;
  /** 0 (inclusive) to 1 (exclusive). */
  readonly random: () => number;
  readonly clock: Clock;
  readonly log: Log;
}

interface Wanted {
  readonly interest: Interest;
  users: number;
  idle: Disposable | undefined;
  readonly life: AbortController & Disposable;
}

interface Session {
  readonly peers: PeerSet;
  readonly url: string;
  readonly signal: AbortSignal;
}

/** "joining" until it is reached for the first time. */
export type PeerState = "joining" | "up" | "away";

/** Another site, as this registry sees it: reached as long as it can be, and asked for what somebody here wants. */
export class Peer implements AsyncDisposable {
  /** What it said of itself last. */
  site: Site;
  state: PeerState = "joining";
  /** Why it is away. */
  reason = "";
  readonly #parts: PeerParts;
  readonly #life = new AbortController();
  readonly #wanted = new Map<string, Wanted>();
  #session: Session | undefined;
  readonly #running: Promise<void>;

  constructor(site: Site, parts: PeerParts) {
    this.site = site;
    this.#parts = parts;
    this.#running = this.#run();
  }

  /** Ends when the site is left. */
  get signal(): AbortSignal {
    return this.#life.signal;
  }

  /** How many different wishes are watched there. */
  get interests(): number {
    return this.#wanted.size;
  }

  /** Wants it until disposed, and a while longer: who asks often is asked for once. */
  want(wish: Wish): { readonly settled: Promise<void> } & Disposable {
    const key = wishKey(wish);
    const wanted = this.#wanted.get(key) ?? this.#begin(key, wish);
    wanted.users += 1;
    wanted.idle?.[Symbol.dispose]();
    wanted.idle = undefined;
    let held = true;
    return {
      settled: wanted.interest.settled,
      [Symbol.dispose]: () => {
        if (held) this.#unwant(key, wanted);
        held = false;
      },
    };
  }

  /** All that it shows of one kind, asked for once; rejects when it is away. */
  async list<T>(registry: (peers: PeerSet, url: string) => Parameters<typeof list<T>>[0], query: T, signal: AbortSignal): Promise<T[]> {
    if (this.#session === undefined) throw this.#unreachable(this.reason);
    return await list(registry(this.#session.peers, this.#session.url), query, signal);
  }

  /** Asks a registry of the site, by the way that it is followed. "unreachable" while it is away, and at once when it is found to be. */
  async ask<T>(task: (peers: PeerSet, url: string, signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
    const session = this.#session;
    if (session === undefined) throw this.#unreachable(this.reason || "it was not reached yet");
    using both = linked(signal);
    using _lost = onAbort(session.signal, () => both.abort(session.signal.reason));
    try {
      return await task(session.peers, session.url, both.signal);
    } catch (error) {
      if (session.signal.aborted && !signal.aborted) throw this.#unreachable(asMeshError(session.signal.reason).message);
      throw error;
    }
  }

  /** What is known of these endpoints may look different here now. */
  showAgain(isMeant: (endpoint: NetworkServiceEndpoint) => boolean): void {
    this.#parts.endpoints.showAgain(isMeant);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#life.abort();
    for (const { interest, idle, life } of this.#wanted.values()) {
      idle?.[Symbol.dispose]();
      life.abort();
      interest.end();
    }
    // At once, whatever is still on its way: the site may be joined anew before that has ended.
    this.#parts.services.close();
    this.#parts.endpoints.close();
    await this.#running;
  }

  #unreachable(reason: string): MeshError {
    return new MeshError("unreachable", `the site ${this.site.name} does not answer: ${reason}`);
  }

  #begin(key: string, wish: Wish): Wanted {
    const wanted = { interest: new Interest(wish, this.#parts), users: 0, idle: undefined, life: linked(this.signal) };
    this.#wanted.set(key, wanted);
    if (this.#session !== undefined) this.#follow(wanted, this.#session);
    else if (this.state === "away") wanted.interest.giveUp();
    return wanted;
  }

  #unwant(key: string, wanted: Wanted): void {
    wanted.users -= 1;
    if (wanted.users > 0 || this.signal.aborted) return;
    wanted.idle = this.#parts.clock.after(keptMs, () => {
      this.#wanted.delete(key);
      wanted.life.abort();
      wanted.life[Symbol.dispose]();
      wanted.interest.end();
    });
  }

  #follow({ interest, life }: Wanted, { peers, url, signal }: Session): void {
    const both = linked(life.signal);
    const tie = onAbort(signal, () => both.abort());
    const following = interest.follow({ services: peers.services(url), endpoints: peers.endpoints(url) }, both.signal).finally(() => {
      tie[Symbol.dispose]();
      both[Symbol.dispose]();
    });
    background(this.#parts.log, "watching another site", following);
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#parts;
    let refusals = 0;
    for (let at = 0; !this.signal.aborted; at++) {
      const url = this.site.urls[at % this.site.urls.length] ?? "";
      const failure = asMeshError(await this.#visit(url).catch((error: unknown) => error));
      if (this.signal.aborted) return;
      if (this.state !== "away" || failure.message !== this.reason)
        log.warn("other site away", { site: this.site.name, url, reason: failure.message });
      this.#away(failure.message);
      refusals = failure.code === "denied" ? refusals + 1 : 0;
      const pause = pauseMs.least + this.#parts.random() * (pauseMs.most - pauseMs.least);
      await clock.sleep(Math.min(pause * 2 ** refusals, refusedMs), this.signal).catch(() => {});
    }
  }

  /** Stays connected as long as there are signs of life; resolves, or rejects, with why there are none. */
  async #visit(url: string): Promise<unknown> {
    const { dial, told, clock } = this.#parts;
    await using peers = dial(this.site);
    using session = linked(this.signal);
    const silent = () => session.abort(new MeshError("timeout", `${url} has not said a word for ${silenceMs} ms`));
    let timer = clock.after(silenceMs, silent);
    try {
      for await (const info of peers.followSite(url, session.signal)) {
        timer[Symbol.dispose]();
        if (this.#session === undefined) this.#up({ peers, url, signal: session.signal });
        if (!isBeat(info)) {
          await told(info);
          // That is written down, and told to every node: it is heard no oftener than it has to give a sign of life.
          await clock.sleep(beatMs, session.signal).catch(() => {});
        }
        timer = clock.after(silenceMs, silent);
      }
      return session.signal.reason ?? new MeshError("unreachable", `${url} has ended the connection`);
    } finally {
      timer[Symbol.dispose]();
      this.#session = undefined;
      session.abort(new MeshError("unreachable", `${url} has ended the connection`));
    }
  }

  #up(session: Session): void {
    this.#session = session;
    this.state = "up";
    this.reason = "";
    this.#parts.log.info("other site reached", { site: this.site.name, url: session.url });
    for (const wanted of this.#wanted.values()) this.#follow(wanted, session);
    const following = this.#parts.segments((signal) => session.peers.segmentsOfSite(session.url, signal), session.signal);
    background(this.#parts.log, "following the segments of another site", following);
  }

  #away(reason: string): void {
    this.state = "away";
    this.reason = reason;
    this.#parts.services.markStale();
    this.#parts.endpoints.markStale();
    for (const { interest } of this.#wanted.values()) interest.giveUp();
  }
}

/** Waits for first answers, at most so long; never rejects. */
export async function settledWithin(clock: Clock, ms: number, waits: readonly Promise<void>[], signal: AbortSignal): Promise<void> {
  using limit = timeLimit(clock, ms, signal);
  await Promise.race([Promise.all(waits), new Promise<void>((resolve) => void onAbort(limit.signal, resolve))]);
}
