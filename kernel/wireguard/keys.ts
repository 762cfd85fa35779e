import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { MeshError } from "../../core/error.js";

// What stands before the 32 bytes of an X25519 private key in PKCS #8 (RFC 8410).
const pkcs8Header = Buffer.from("302e020100300506032b656e04220420", "hex");
const keyPattern = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;

/** Whether `text` is a WireGuard key: base64 of 32 bytes. */
export function isKey(text: string): boolean {
  return keyPattern.test(text);
}

/** A new X25519 private key, in base64 as WireGuard writes keys. */
export function generateKey(): string {
  const { d } = generateKeyPairSync("x25519").privateKey.export({ format: "jwk" });
  return Buffer.from(d ?? "", "base64url").toString("base64");
}

/** The public key of a private one, both in base64. Throws MeshError invalid. */
export function publicKeyOf(privateKey: string): string {
  if (!isKey(privateKey)) throw new MeshError("invalid", "a WireGuard private key must be 32 bytes in base64");
  const der = Buffer.concat([pkcs8Header, Buffer.from(privateKey, "base64")]);
  const key = createPublicKey(createPrivateKey({ key: der, format: "der", type: "pkcs8" }));
  return Buffer.from(key.export({ format: "jwk" }).x ?? "", "base64url").toString("base64");
}

/** Reads a private key from its file. Throws MeshError invalid, naming the file and never its content. */
export function readKeyFile(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, "utf8").trim();
  } catch (cause) {
    throw new MeshError("invalid", `the WireGuard key file ${path} cannot be read; make it anew or correct its path`, { cause });
  }
  if (!isKey(text))
    throw new MeshError("invalid", `${path} does not hold a WireGuard key (32 bytes in base64); remove it to get a new one`);
  return text;
}

/** Makes `path` hold a private key (mode 0600) unless it does already; answers its public key. */
export function ensureKeyFile(path: string): string {
  try {
    return publicKeyOf(readKeyFile(path));
  } catch (error) {
    // Only a missing file is made: one that cannot be understood may be somebody's.
    if (!isMissing(error)) throw error;
  }
  const key = generateKey();
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const fresh = `${path}.new`;
  writeFileSync(fresh, `${key}\n`, { mode: 0o600, flush: true });
  chmodSync(fresh, 0o600);
  renameSync(fresh, path);
  return publicKeyOf(key);
}

function isMissing(error: unknown): boolean {
  const cause = error instanceof MeshError ? error.cause : undefined;
  return cause instanceof Error && "code" in cause && cause.code === "ENOENT";
}
