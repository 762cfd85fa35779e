import { SignJWT } from "jose";
import type { Token } from "../core/chain.js";
import type { Clock } from "../core/clock.js";
import type { TokenSource } from "../core/token.js";
import type { Svid } from "./svid.js";

export interface SignerParts {
  readonly lifetimeMs: number;
  readonly clock: Clock;
  /** What each token says besides who, for whom and until when. */
  readonly claims?: Readonly<Record<string, unknown>> | undefined;
}

interface What {
  readonly subject: string;
  readonly audience: string | undefined;
  readonly claims: Readonly<Record<string, unknown>> | undefined;
}

interface Made {
  readonly token: Promise<Token>;
  readonly until: number;
}

/** Signs ES256 tokens as NSM does, with the certificate in their header; one is handed out again for a tenth of its life. */
export class Signer {
  readonly #parts: SignerParts;
  readonly #made = new WeakMap<Svid, Map<string, Made>>();

  constructor(parts: SignerParts) {
    this.#parts = parts;
  }

  /**
   * Signs with that SVID: in its own name, or in `subject`'s, for whom and for whose `claims` its owner vouches. No token outlives the
   * SVID.
   */
  by(svid: Svid, subject = svid.id.text, claims?: Readonly<Record<string, unknown>>): TokenSource {
    return (audience) => this.#token(svid, { subject, audience, claims });
  }

  #token(svid: Svid, what: What): Promise<Token> {
    const now = this.#parts.clock.now();
    const made = this.#made.get(svid) ?? new Map<string, Made>();
    this.#made.set(svid, made);
    const key = JSON.stringify([what.subject, what.audience, what.claims]);
    const held = made.get(key);
    if (held !== undefined && held.until > now) return held.token;
    for (const [old, entry] of made) if (entry.until <= now) made.delete(old);
    const expires = Math.min(now + this.#parts.lifetimeMs, svid.notAfter);
    const token = this.#sign(svid, { ...what, expires });
    made.set(key, { token, until: now + (expires - now) / 10 });
    return token;
  }

  async #sign(svid: Svid, what: What & { readonly expires: number }): Promise<Token> {
    // `exp` has whole seconds; rounding down keeps the promise that a token is good until `expires`.
    const expires = Math.floor(what.expires / 1000);
    const x5c = svid.chain.map(({ raw }) => raw.toString("base64"));
    const jwt = new SignJWT({ ...this.#parts.claims, ...what.claims })
      .setProtectedHeader({ alg: "ES256", typ: "JWT", x5c })
      .setSubject(what.subject)
      .setExpirationTime(expires);
    if (what.audience !== undefined) jwt.setAudience([what.audience]);
    return { token: await jwt.sign(svid.privateKey), expires: expires * 1000 };
  }
}
