import { background } from "../../core/background.js";
import type { Clock } from "../../core/clock.js";
import type { Log } from "../../core/log.js";
import { RecentIds } from "../../core/recentIds.js";
import { type BehindHost, mostBehind } from "../../core/segment/membership.js";
import type { Kernel } from "../../kernel/model.js";

export interface BehindParts {
  readonly kernel: Pick<Kernel, "events" | "learned">;
  /** The members of this node that bridge for others, by their ports. */
  readonly ports: () => ReadonlyMap<string, string>;
  /** The highest number under which other nodes tell of a host; 0: none does. */
  readonly told: (mac: string) => number;
  /** Others are behind these members than before. */
  readonly onChange: (ids: readonly string[]) => void;
  readonly segment: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Hosts that come together are told together; and however fast hosts move, as in a loop, others hear of it so often at the most. */
const [gatherMs, pauseMs] = [20, 500];

/** Who is behind the members of this node that bridge for others: whom the bridge has learned at their ports, until it forgets him. */
export class Behind implements AsyncDisposable {
  readonly #parts: BehindParts;
  readonly #stop = new AbortController();
  readonly #listening: Promise<void>;
  /** Members that have more behind them than are told of: said once. */
  readonly #crowded = new RecentIds(256);
  #known = new Map<string, readonly BehindHost[]>();
  #looked = Number.NEGATIVE_INFINITY;
  #soon: Disposable | undefined;
  #looking: Promise<void> = Promise.resolve();

  constructor(parts: BehindParts) {
    this.#parts = parts;
    this.#listening = this.#listen();
  }

  of(id: string): readonly BehindHost[] {
    return this.#known.get(id) ?? [];
  }

  /** Knows who is there already, before anybody is told. */
  async start(): Promise<void> {
    await this.#look();
  }

  /** Looks what there is, as after a member came or left. */
  again(): void {
    const { clock, log, segment } = this.#parts;
    if (this.#stop.signal.aborted) return;
    this.#soon ??= clock.after(Math.max(gatherMs, this.#looked + pauseMs - clock.monotonic()), () => {
      this.#soon = undefined;
      this.#looked = clock.monotonic();
      this.#looking = this.#look().then((changed) => {
        if (changed.length > 0) this.#parts.onChange(changed);
      });
      background(log, "looking who is behind members", this.#looking, { segment });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#soon?.[Symbol.dispose]();
    await this.#looking.catch(() => {});
    await this.#listening;
  }

  async #listen(): Promise<void> {
    const { kernel, log, segment } = this.#parts;
    try {
      for await (const { kind } of kernel.events(this.#stop.signal)) if (kind === "learned" || kind === "resync") this.again();
    } catch (error) {
      if (!this.#stop.signal.aborted)
        log.error("nobody hears any more who is behind members", { segment, error: (error as Error).message });
    }
  }

  /** Answers the members behind whom there are others than before. */
  async #look(): Promise<string[]> {
    const { kernel, ports } = this.#parts;
    const members = ports();
    const learned = members.size === 0 ? new Map<string, string[]>() : await kernel.learned([...members.keys()]);
    if (this.#stop.signal.aborted) return [];
    const before = this.#known;
    this.#known = new Map();
    for (const [port, id] of members) {
      const hosts = this.#hosts(id, learned.get(port) ?? [], before.get(id) ?? []);
      if (hosts.length > 0) this.#known.set(id, hosts);
    }
    const ids = [...new Set([...before.keys(), ...this.#known.keys()])];
    return ids.filter((id) => String(before.get(id)?.map(textOf) ?? "") !== String(this.of(id).map(textOf)));
  }

  /** Who was there stays first, with his number; whoever is new is here since after the last word that was heard of him. */
  #hosts(id: string, learned: readonly string[], before: readonly BehindHost[]): BehindHost[] {
    const stays = before.filter(({ mac }) => learned.includes(mac));
    const fresh = learned.filter((mac) => stays.every((host) => host.mac !== mac)).sort();
    const hosts = [...stays, ...fresh.map((mac): BehindHost => ({ mac, sequence: this.#parts.told(mac) + 1 }))];
    if (hosts.length > mostBehind && !this.#crowded.has(id)) {
      this.#crowded.add(id);
      this.#parts.log.warn("member has more hosts behind it than other nodes are told of", {
        segment: this.#parts.segment,
        connection: id,
        hosts: hosts.length,
        most: mostBehind,
      });
    }
    return hosts.slice(0, mostBehind);
  }
}

function textOf({ mac, sequence }: BehindHost): string {
  return `${mac}/${sequence}`;
}
