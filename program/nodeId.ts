import { randomUUID } from "node:crypto";
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";
import { MeshError } from "../core/error.js";

/** The node's id: a UUID made at the first start and kept in `stateDir` for ever. */
export function nodeId(stateDir: string): string {
  const file = join(stateDir, "node-id");
  const kept = read(file);
  if (kept !== undefined) return kept;
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const id = randomUUID();
  const descriptor = openSync(`${file}.new`, "w", 0o600);
  writeSync(descriptor, `${id}\n`);
  fsyncSync(descriptor);
  closeSync(descriptor);
  renameSync(`${file}.new`, file);
  return id;
}

function read(file: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(file, "utf8").trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new MeshError("internal", `cannot read the node id in ${file}: ${(error as Error).message}`, { cause: error });
  }
  if (/^[0-9a-f-]{36}$/.test(text)) return text;
  throw new MeshError(
    "invalid",
    `${file} must hold a UUID, got ${JSON.stringify(text.slice(0, 40))}; restore it, or remove it to get a new identity`,
  );
}
