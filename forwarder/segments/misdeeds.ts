import { background } from "../../core/background.js";
import type { Clock } from "../../core/clock.js";
import type { Log } from "../../core/log.js";
import type { Misdeed } from "../../core/segment/misdeeds.js";
import type { MemberCounters } from "./local.js";

export interface MisdeedsParts {
  /** What the kernel has counted of each member on this node. */
  readonly look: () => Promise<readonly MemberCounters[]>;
  /** What `of` says has changed. */
  readonly onChange: () => void;
  readonly clock: Clock;
  readonly log: Log;
}

type Ongoing = Misdeed & { readonly segment: string /** Monotonic. */; readonly lastAt: number };

const everyMs = 10_000;
/** Who has sent nothing of the kind for so long does it no more. */
const quietMs = 60_000;
const kinds = ["flooded", "spoofed"] as const;
const words = {
  flooded: "member sends too much broadcast and multicast, the rest is dropped; is there a loop behind it?",
  spoofed: "member sends with addresses that are not its own, which is dropped",
} as const;

/** Knows which members of this node send what is dropped, and says it in the log, as long as they do. */
export class Misdeeds implements Disposable {
  readonly #parts: MisdeedsParts;
  /** As counted at the last look, by member and kind. */
  #seen: ReadonlyMap<string, number> = new Map();
  /** By member and kind. */
  #ongoing: ReadonlyMap<string, Ongoing> = new Map();
  #timer: Disposable | undefined;

  constructor(parts: MisdeedsParts) {
    this.#parts = parts;
    this.#arm();
  }

  /** What the members of a segment do at present. */
  of(segment: string): Misdeed[] {
    return [...this.#ongoing.values()].filter((one) => one.segment === segment);
  }

  /** Takes what is counted by now for old: an earlier run has said it. */
  async begin(): Promise<void> {
    this.#seen = countsOf(await this.#parts.look());
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }

  #arm(): void {
    const { clock, log } = this.#parts;
    this.#timer = clock.after(everyMs, () => {
      const looking = this.#look().finally(() => {
        if (this.#timer !== undefined) this.#arm();
      });
      background(log, "looking at what members send", looking);
    });
  }

  async #look(): Promise<void> {
    const members = await this.#parts.look();
    const ongoing = new Map<string, Ongoing>();
    for (const member of members)
      for (const kind of kinds) {
        const now = this.#after(member, kind);
        if (now !== undefined) ongoing.set(keyOf(member, kind), now);
      }
    const before = this.#ongoing;
    this.#seen = countsOf(members);
    this.#ongoing = ongoing;
    if (before.size > 0 || ongoing.size > 0) this.#parts.onChange();
  }

  /** What a member does by now; undefined where it is nothing, or nothing any more. */
  #after(member: MemberCounters, kind: Misdeed["kind"]): Ongoing | undefined {
    const { clock, log } = this.#parts;
    const key = keyOf(member, kind);
    const [count, seen, known] = [member.counters[kind] ?? 0, this.#seen.get(key) ?? 0, this.#ongoing.get(key)];
    // The kernel forgets its count of who has been quiet for a day.
    const fresh = count < seen ? count : count - seen;
    if (fresh === 0) return known !== undefined && clock.monotonic() - known.lastAt < quietMs ? known : undefined;
    const { segment, name, id } = member;
    log.warn(words[kind], { segment, member: name, connection: id, dropped: fresh });
    const first = { segment, member: name, kind, sinceMs: clock.now(), dropped: 0 };
    return { ...(known ?? first), dropped: (known?.dropped ?? 0) + fresh, lastAt: clock.monotonic() };
  }
}

function keyOf({ id }: MemberCounters, kind: Misdeed["kind"]): string {
  return `${id} ${kind}`;
}

function countsOf(members: readonly MemberCounters[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const member of members)
    for (const kind of kinds) {
      const count = member.counters[kind] ?? 0;
      if (count > 0) counts.set(keyOf(member, kind), count);
    }
  return counts;
}
