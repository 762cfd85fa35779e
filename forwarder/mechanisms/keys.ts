import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
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
  /** The files that are there: most connections have none, and need not look. */
  readonly #files: Set<string>;

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.#files = new Set(readdirSync(folder).map((name) => path.join(folder, name)));
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
    const file = this.#file(id);
    this.#files.add(file);
    writeFileSync(file, `${pair.privateKey}\n`, { mode: 0o600, flush: true });
    this.#offered.delete(id);
    return file;
  }

  /** Forgets the key of a connection that does not use it (any more). */
  remove(id: string): void {
    this.#offered.delete(id);
    const file = this.#file(id);
    if (!this.#files.has(file)) return;
    rmSync(file, { force: true });
    this.#files.delete(file);
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
