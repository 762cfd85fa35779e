import type { KeyObject } from "node:crypto";
import type { TokenSource } from "./token.js";

/** Who is at the other end of a connection, as the certificate proved that it showed. */
export interface Peer {
  /** Its SPIFFE id. */
  readonly id: string;
  /** The key of its certificate: what it signs its tokens with. */
  readonly publicKey: KeyObject;
}

/** An authenticated connection between two programs, seen from one of them. */
export interface Link {
  readonly peer: Peer;
  /** The SPIFFE id that this side showed. */
  readonly self: string;
  /** Signs with the key of what this side showed, so that the other can check it, also when there is a newer one by now. */
  readonly tokens: TokenSource;
}
