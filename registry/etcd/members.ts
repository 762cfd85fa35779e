import type { CallOptions } from "@grpc/grpc-js";
import type { Etcd3 } from "etcd3";
import type { Clock } from "../../core/clock.js";
import { MeshError } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import { neverSent, told } from "./errors.js";

/** etcd3 has no deadline of its own, and a call that a dead leader took along would wait for 6 s. */
const callMs = 2_000;
/** How long one that may be tried again is, and how long a watch looks for a member. */
export const patienceMs = 5_000;
const shortestMs = 200;
const pauseMs = 50;

/** One member of the cluster, as long as it is the one that is asked. */
export interface Member {
  readonly url: string;
  readonly client: Etcd3;
  /** Ends when another is asked instead: what goes on there has to begin anew. */
  readonly left: AbortSignal;
}

export type Call<T> = (client: Etcd3, options: CallOptions) => Promise<T>;

interface Asked extends Member {
  readonly leave: AbortController;
  answered: boolean;
}

export interface MembersParts {
  readonly urls: readonly string[];
  readonly connect: (url: string) => Etcd3;
  readonly clock: Clock;
  readonly log: Log;
}

/** Asks one member of the cluster, in the order of the list, and moves on to the next, with a new client, when it fails. */
export class Members implements Disposable {
  /** For messages. */
  readonly place: string;
  readonly #parts: MembersParts;
  readonly #closed = new AbortController();
  #at = 0;
  #asked: Asked;

  constructor(parts: MembersParts) {
    this.#parts = parts;
    this.place = `etcd at ${parts.urls.join(", ")}`;
    this.#asked = this.#ask();
  }

  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  /** Throws "unreachable" once closed. */
  current(): Member {
    if (this.closed.aborted) throw this.#isClosed();
    return this.#asked;
  }

  /** For what changes nothing, and for what may be done twice: tries one member after the other, for 5 s. */
  patient<T>(call: Call<T>): Promise<T> {
    return this.#run(call, () => true);
  }

  /** For what must not be done twice: sent once. When it fails with "unreachable" it may have happened. */
  once<T>(call: Call<T>): Promise<T> {
    return this.#run(call, neverSent);
  }

  /** Leaves the member for the next, unless somebody did so already. */
  leave(member: Member, why: unknown): void {
    const left = this.#asked;
    if (member !== left || this.closed.aborted) return;
    this.#at = (this.#at + 1) % this.#parts.urls.length;
    this.#asked = this.#ask();
    // Only what worked is news; a cluster that is down is tried many times.
    if (left.answered) this.#parts.log.warn("etcd member left", { member: left.url, next: this.#asked.url, error: told(why, this.place) });
    end(left);
  }

  [Symbol.dispose](): void {
    if (this.closed.aborted) return;
    this.#closed.abort();
    end(this.#asked);
  }

  async #run<T>(call: Call<T>, again: (cause: unknown) => boolean): Promise<T> {
    const { clock } = this.#parts;
    const end = clock.monotonic() + patienceMs;
    for (;;) {
      if (this.closed.aborted) throw this.#isClosed();
      const asked = this.#asked;
      const left = Math.max(shortestMs, end - clock.monotonic());
      try {
        const answer = await call(asked.client, { deadline: clock.now() + Math.min(callMs, left) });
        if (!asked.answered) this.#parts.log.info("etcd member answers", { member: asked.url });
        asked.answered = true;
        return answer;
      } catch (cause) {
        if (this.closed.aborted) throw this.#isClosed();
        const error = told(cause, this.place);
        if (error.code !== "unreachable") throw error;
        this.leave(asked, cause);
        if (!again(cause) || clock.monotonic() >= end) throw error;
        await clock.sleep(pauseMs, this.closed).catch(() => {});
      }
    }
  }

  #ask(): Asked {
    const url = this.#parts.urls[this.#at] ?? "";
    const leave = new AbortController();
    return { url, client: this.#parts.connect(url), leave, left: leave.signal, answered: false };
  }

  #isClosed(): MeshError {
    return new MeshError("unreachable", "the store in etcd is closed");
  }
}

/** Watches first: one that goes on would try for ever. */
function end({ leave, client }: Asked): void {
  leave.abort();
  client.close();
}
