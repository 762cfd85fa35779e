import type { Segment, SegmentList } from "../api/gen/isthmus/v1/segment.js";
import type { Clock } from "../core/clock.js";
import type { Log } from "../core/log.js";
import type { Moment } from "../core/segment/moment.js";
import { following, inTurn } from "./following.js";
import type { PeerSet } from "./peers.js";
import type { SegmentSource } from "./segmentApi.js";

export interface FollowedSegmentsParts {
  readonly watch: (signal: AbortSignal) => AsyncIterable<SegmentList>;
  /** For messages: who tells them. */
  readonly from: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** The site's segments as a program of a node knows them: what it was told last, also while nobody tells. Unknown until then. */
export class FollowedSegments implements SegmentSource, AsyncDisposable {
  readonly #listeners = new Set<() => void>();
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #current: readonly Segment[] | undefined;
  #moment: Moment = { history: "", revision: 0 };

  constructor(parts: FollowedSegmentsParts) {
    this.#running = following({ ...parts, what: "segments", take: (told) => this.#take(told) }, this.#stop.signal);
  }

  get current(): readonly Segment[] | undefined {
    return this.#current;
  }

  get moment(): Moment {
    return this.#moment;
  }

  listen(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  #take({ segments, history, revision }: SegmentList): void {
    this.#current = segments;
    this.#moment = { history, revision };
    for (const listener of [...this.#listeners]) listener();
  }
}

/** The segments that one of the peers at `from` tells; where it is away the next is asked. */
export function followSegments(
  peers: Pick<PeerSet, "segmentFeed">,
  { from, ...parts }: Pick<FollowedSegmentsParts, "clock" | "log"> & { readonly from: readonly string[] },
): FollowedSegments {
  return new FollowedSegments({
    ...parts,
    from: from.join(", "),
    watch: inTurn(from, (url, signal) => peers.segmentFeed(url).watch(signal)),
  });
}
