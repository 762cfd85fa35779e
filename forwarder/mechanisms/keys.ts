import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { MeshError } from "../../core/error.js";

interface Pair {
  readonly privateKey: string;
  readonly publicKey: string;
}

/**
 * A WireGuard key for each connection. Until its mechanism is chosen it is only in memory, so that an offer costs no file.
 * Files have mode 0600.
 */
export class ConnectionKeys {
  readonly #folder: string;
  readonly #offered = new Map<string, Pair>();

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }

  /** A new key's public half; the same one for the same connection until that is forgotten. */
  offer(id: string): string {
    const pair = this.#offered.get(id) ?? generate();
    this.#offered.set(id, pair);
    return pair.publicKey;
  }

  /** Puts what was offered on disk; answers the file. */
  write(id: string): string {
    const pair = this.#offered.get(id);
    if (pair === undefined) throw new MeshError("internal", `no key was offered for the connection ${id}`);
    writeFileSync(this.#file(id), `${pair.privateKey}\n`, { mode: 0o600, flush: true });
    this.#offered.delete(id);
    return this.#file(id);
  }

  /** Forgets the key of a connection that does not use it (any more). */
  remove(id: string): void {
    this.#offered.delete(id);
    rmSync(this.#file(id), { force: true });
  }

  #file(id: string): string {
    return path.join(this.#folder, `${id}.key`);
  }
}

/** Faster than to make a public key from a private one, which goes through OpenSSL's parser. */
function generate(): Pair {
  const { d = "", x = "" } = generateKeyPairSync("x25519").privateKey.export({ format: "jwk" });
  return { privateKey: base64(d), publicKey: base64(x) };
}

function base64(url: string): string {
  return Buffer.from(url, "base64url").toString("base64");
}
