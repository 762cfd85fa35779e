import { createPrivateKey, type KeyObject, type X509Certificate } from "node:crypto";
import { MeshError } from "../core/error.js";
import { validity } from "./certificate.js";
import type { SpiffeId } from "./spiffe.js";
import { idOf } from "./verify.js";

/** An X.509 SVID: what a program shows, and the key that it signs with. */
export interface Svid {
  readonly id: SpiffeId;
  /** Its own certificate first, then those between it and the bundle. */
  readonly chain: readonly X509Certificate[];
  readonly privateKey: KeyObject;
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** Throws "denied" where there is no proper id in it, "invalid" where key and certificate do not belong together. */
export function svidOf(chain: readonly X509Certificate[], privateKey: KeyObject): Svid {
  const [leaf] = chain;
  if (leaf === undefined) throw new MeshError("invalid", "an SVID needs a certificate");
  const id = idOf(leaf);
  if (!leaf.checkPrivateKey(privateKey)) throw new MeshError("invalid", `the key is not that of the certificate of ${id.text}`);
  return { id, chain, privateKey, ...validity(leaf) };
}

/** Reads a private key, PEM text or PKCS#8 DER. Throws "invalid", naming `what` and never the key. */
export function parseKey(key: string | Uint8Array, what: string): KeyObject {
  try {
    if (typeof key === "string") return createPrivateKey(key);
    return createPrivateKey({ key: Buffer.from(key), format: "der", type: "pkcs8" });
  } catch {
    throw new MeshError("invalid", `${what} holds no private key that can be read`);
  }
}
