import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { SignJWT } from "jose";
import type { Token } from "../core/chain.js";
import type { Clock } from "../core/clock.js";
import type { TokenSource } from "../core/token.js";

/** A P-256 key pair. The private half never leaves the process. */
export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

export function generateKey(): KeyPair {
  return generateKeyPairSync("ec", { namedCurve: "P-256" });
}

export interface TokenParts {
  /** The SPIFFE id, `sub` of every token. */
  readonly subject: string;
  readonly key: KeyPair;
  readonly lifetimeMs: number;
  readonly clock: Clock;
}

/** Signs ES256 tokens as NSM does; one is handed out again for a tenth of its life, per audience. */
export function createTokenSource(parts: TokenParts): TokenSource {
  const made = new Map<string, { readonly token: Promise<Token>; readonly until: number }>();
  return (audience) => {
    const now = parts.clock.now();
    const held = made.get(audience ?? "");
    if (held !== undefined && held.until > now) return held.token;
    for (const [key, entry] of made) if (entry.until <= now) made.delete(key);
    const token = sign(parts, audience, now);
    made.set(audience ?? "", { token, until: now + parts.lifetimeMs / 10 });
    return token;
  };
}

async function sign(parts: TokenParts, audience: string | undefined, now: number): Promise<Token> {
  // `exp` has whole seconds; rounding down keeps the promise that a token is good until `expires`.
  const expires = Math.floor((now + parts.lifetimeMs) / 1000);
  const jwt = new SignJWT({}).setProtectedHeader({ alg: "ES256", typ: "JWT" }).setSubject(parts.subject).setExpirationTime(expires);
  if (audience !== undefined) jwt.setAudience([audience]);
  return { token: await jwt.sign(parts.key.privateKey), expires: expires * 1000 };
}
