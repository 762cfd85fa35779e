import type { KeyObject } from "node:crypto";
import type { Clock } from "../../core/clock.js";
import { asMeshError } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import { type Bundles, sameBundles } from "../bundles.js";
import { generateKey } from "../keys.js";
import { Held, type Identified, type IdentitySource } from "../source.js";
import type { Svid } from "../svid.js";

export interface RenewingParts {
  readonly first: Identified;
  /** Asks the authority for another SVID of the same id, for a new key. Rejects with MeshError. */
  readonly renew: (key: KeyObject, signal: AbortSignal) => Promise<Identified>;
  /** Keeps what a renewal gave before it is used; its failure fails the renewal. */
  readonly keep?: ((identified: Identified) => void) | undefined;
  /** Tells `trust` whom to trust whenever that changes between renewals, until the signal ends. */
  readonly follow?: ((trust: (bundles: Bundles) => void, signal: AbortSignal) => Promise<void>) | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

const soonestMs = 1_000;
const slowestMs = 60_000;

/** An identity that an authority of a site signs: renewed with a new key at half of its life, and tried again until it is. */
export class RenewingSource implements IdentitySource {
  readonly #parts: RenewingParts;
  readonly #held: Held;
  readonly #stop = new AbortController();
  #timer: Disposable | undefined;
  #running: Promise<void> = Promise.resolve();
  readonly #following: Promise<void>;

  constructor(parts: RenewingParts) {
    this.#parts = parts;
    this.#held = new Held(parts.first.svid, parts.first.bundles);
    this.#arm(this.#untilHalf());
    this.#following = parts.follow?.((bundles) => this.trust(bundles), this.#stop.signal) ?? Promise.resolve();
  }

  get current(): Svid {
    return this.#held.current;
  }

  get bundles(): Bundles {
    return this.#held.bundles;
  }

  listen(listener: () => void): Disposable {
    return this.#held.listen(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#timer?.[Symbol.dispose]();
    await this.#running;
    await this.#following;
  }

  /** Trusts these from now on, with the SVID that is there; also when that cannot be kept: after a restart it is heard again. */
  trust(bundles: Bundles): void {
    if (this.#stop.signal.aborted || sameBundles(bundles, this.bundles)) return;
    const { keep, log } = this.#parts;
    this.#held.set(this.current, bundles);
    log.info("trusted domains changed", { trusted: [...bundles.keys()] });
    try {
      keep?.({ svid: this.current, bundles });
    } catch (error) {
      log.warn("trusted domains not kept", { reason: asMeshError(error).message });
    }
  }

  #arm(ms: number, pauseMs = soonestMs): void {
    if (this.#stop.signal.aborted) return;
    this.#timer = this.#parts.clock.after(ms, () => {
      this.#running = this.#renew(pauseMs);
    });
  }

  async #renew(pauseMs: number): Promise<void> {
    const { renew, keep, log } = this.#parts;
    try {
      const before = this.bundles;
      const renewed = await renew(generateKey().privateKey, this.#stop.signal);
      // What was heard of others while this was on its way is newer than what it brings.
      const fresh = before === this.bundles ? renewed : { ...renewed, bundles: this.bundles };
      keep?.(fresh);
      this.#held.set(fresh.svid, fresh.bundles);
      log.info("identity renewed", { id: fresh.svid.id.text, until: new Date(fresh.svid.notAfter).toISOString() });
      this.#arm(this.#untilHalf());
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      const until = new Date(this.current.notAfter).toISOString();
      log.warn("identity not renewed", { id: this.current.id.text, until, reason: asMeshError(error).message });
      this.#arm(pauseMs, Math.min(2 * pauseMs, slowestMs, Math.max(soonestMs, this.#left() / 4)));
    }
  }

  #left(): number {
    return this.current.notAfter - this.#parts.clock.now();
  }

  #untilHalf(): number {
    const { notBefore, notAfter } = this.current;
    return Math.max(soonestMs, (notBefore + notAfter) / 2 - this.#parts.clock.now());
  }
}
