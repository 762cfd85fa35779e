import type { KeyObject } from "node:crypto";

/** Who is at the other end of a connection, as the certificate proved that it showed. */
export interface Peer {
  /** Its SPIFFE id. */
  readonly id: string;
  /** The key of its certificate: what it signs its tokens with. */
  readonly publicKey: KeyObject;
}
