import type { Element, Token } from "./chain.js";

/** Gives this process's token for `audience` (a SPIFFE id; absent where the peer is not authenticated). */
export type TokenSource = (audience?: string) => Promise<Token>;

/**
 * Copies the caller's token into the previous segment and writes our own into ours.
 * A previous segment that has no expiry after that is refused ("invalid"), and so is a caller without a segment.
 */
export function updateToken(_tokens: TokenSource): Element {
  throw new Error("soon");
}

/** The `sub` of a JWT, without checking its signature; undefined where there is none to read. */
export function subjectOf(_token: string): string | undefined {
  throw new Error("soon");
}
