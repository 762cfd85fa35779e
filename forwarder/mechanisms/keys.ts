import { createHmac } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { ensureKeyFile, publicKeyOf, readKeyFile } from "../../kernel/wireguard/keys.js";

/**
 * A WireGuard key for each connection. It follows from one secret of the node and the connection's id, so that an offer costs no file:
 * only a mechanism that was chosen has one. All files have mode 0600.
 */
export class ConnectionKeys {
  readonly #folder: string;
  readonly #secret: string;

  constructor(folder: string) {
    this.#folder = folder;
    const file = path.join(folder, "secret");
    ensureKeyFile(file);
    this.#secret = readKeyFile(file);
  }

  publicKey(id: string): string {
    return publicKeyOf(this.#private(id));
  }

  file(id: string): string {
    return path.join(this.#folder, `${id}.key`);
  }

  write(id: string): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    writeFileSync(this.file(id), `${this.#private(id)}\n`, { mode: 0o600, flush: true });
  }

  remove(id: string): void {
    rmSync(this.file(id), { force: true });
  }

  #private(id: string): string {
    return createHmac("sha256", this.#secret).update(id).digest("base64");
  }
}
