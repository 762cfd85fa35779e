import { type Bundles, sameBundles } from "./bundles.js";
import type { Svid } from "./svid.js";

/** Where a program's identity comes from. What it gives is always whole: a new SVID with the bundles that go with it, or the one before. */
export interface IdentitySource extends AsyncDisposable {
  /** What to show and to sign with from now on. */
  readonly current: Svid;
  /** Whom to trust from now on. */
  readonly bundles: Bundles;
  /** Is told after every change, until disposed. */
  listen(listener: () => void): Disposable;
}

/** An SVID with the bundles that came with it. */
export interface Identified {
  readonly svid: Svid;
  readonly bundles: Bundles;
}

export function sameIdentity(a: Identified, b: Identified): boolean {
  return a.svid.chain[0]?.fingerprint256 === b.svid.chain[0]?.fingerprint256 && sameBundles(a.bundles, b.bundles);
}

/** What a source holds, and who wants to know. */
export class Held {
  #svid: Svid;
  #bundles: Bundles;
  readonly #listeners = new Set<() => void>();

  constructor(svid: Svid, bundles: Bundles) {
    this.#svid = svid;
    this.#bundles = bundles;
  }

  get current(): Svid {
    return this.#svid;
  }

  get bundles(): Bundles {
    return this.#bundles;
  }

  /** Both at once, so that nobody sees an SVID with the bundles of another. */
  set(svid: Svid, bundles: Bundles): void {
    this.#svid = svid;
    this.#bundles = bundles;
    for (const listener of [...this.#listeners]) listener();
  }

  listen(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }
}
