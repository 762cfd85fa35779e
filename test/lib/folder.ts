import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A new empty folder, removed with everything in it when disposed. */
export function newFolder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "isthmus-test-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}
