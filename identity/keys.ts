import { createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";

/** A P-256 key pair, as SVIDs have them. */
export function generateKey(): { readonly privateKey: KeyObject; readonly publicKey: KeyObject } {
  return generateKeyPairSync("ec", { namedCurve: "P-256" });
}

/** The public half as SubjectPublicKeyInfo, DER. */
export function spkiOf(key: KeyObject): Buffer {
  return (key.type === "private" ? createPublicKey(key) : key).export({ format: "der", type: "spki" });
}
