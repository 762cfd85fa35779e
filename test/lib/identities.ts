import type { Clock } from "../../core/clock.js";
import { Identity, type IdentityParts } from "../../identity/identity.js";
import { Held, type Identified, type IdentitySource } from "../../identity/source.js";
import { authority, identified, type Made } from "./certificates.js";

/** Tests run at real times and at those of a clock that stands still: what is made here is good at both. */
const middle = 1_740_000_000_000;
const years = 10 * 365 * 86_400_000;

let one: Promise<Made> | undefined;
const made = new Map<string, Promise<Identified>>();

/** A source that gives what a test says. */
export class GivenSource implements IdentitySource {
  readonly #held: Held;

  constructor({ svid, bundles }: Identified) {
    this.#held = new Held(svid, bundles);
  }

  get current() {
    return this.#held.current;
  }

  get bundles() {
    return this.#held.bundles;
  }

  set({ svid, bundles }: Identified): void {
    this.#held.set(svid, bundles);
  }

  listen(listener: () => void): Disposable {
    return this.#held.listen(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** The authority that signs for everybody in tests. */
export function testAuthority(): Promise<Made> {
  one ??= authority(middle);
  return one;
}

/** An identity by the authority of all tests; all of one trust domain trust one another. */
export async function testIdentity(id: string, clock: Clock, more: Partial<IdentityParts> = {}): Promise<Identity> {
  const held = made.get(id) ?? testAuthority().then((by) => identified(by, id, middle - years, 2 * years));
  made.set(id, held);
  return new Identity({ source: new GivenSource(await held), clock, tokenLifetimeMs: 600_000, ...more });
}
