import type { StickyLease } from "../../api/gen/isthmus/v1/segment.js";
import { background } from "../../core/background.js";
import { afresh } from "../../core/deadline.js";
import type { Log } from "../../core/log.js";
import { Serial } from "../../core/serial.js";
import type { StickyApi, StickyAsk } from "../../rpc/sticky.js";

/** Who waits for a name waits so long for its release at the most. */
const releaseMs = 5_000;

/** The sticky names that members of this node have: what is asked of one name is asked in turn, so that no release overtakes a claim. */
export class StickyClaims {
  readonly #api: StickyApi;
  readonly #log: Log;
  readonly #serial = new Serial();

  constructor({ api, log }: { readonly api: StickyApi; readonly log: Log }) {
    this.#api = api;
    this.#log = log;
  }

  async claim(ask: StickyAsk & { readonly wishes: readonly string[] }, signal: AbortSignal): Promise<StickyLease> {
    return await this.#serial.run(keyOf(ask), () => this.#api.claim(ask, signal));
  }

  /** Nobody waits for it: where it fails, whoever claims the name next has it all the same. */
  release(ask: StickyAsk): void {
    const released = this.#serial.run(keyOf(ask), () => this.#api.release(ask, afresh(releaseMs)));
    background(this.#log, "releasing a sticky name", released, { segment: ask.segment, name: ask.name });
  }
}

function keyOf({ segment, name }: StickyAsk): string {
  return `${segment}/${name}`;
}
