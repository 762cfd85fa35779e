import { chmodSync, closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, statSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { MeshError } from "../core/error.js";

/** Writes a file that only its owner can read (mode 0600), whole or not at all, and on disk when this returns. */
export function writePrivate(file: string, content: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const fresh = `${file}.new`;
  const descriptor = openSync(fresh, "w", 0o600);
  try {
    chmodSync(fresh, 0o600);
    writeSync(descriptor, content);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(fresh, file);
}

/** The text of a file with a secret, or undefined where there is none. Throws "denied" when others than its owner can read it. */
export function readPrivate(file: string): string | undefined {
  const found = statSync(file, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  if ((found.mode & 0o077) !== 0) throw new MeshError("denied", `${file} holds a secret and others can read it: \`chmod 600 ${file}\``);
  return readFileSync(file, "utf8");
}
