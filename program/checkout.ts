import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export interface Checkout {
  readonly folder: string;
  readonly version: string;
}

/** Where this program is from, by the nearest package.json above: the same for the sources and for what was built. */
export function ownCheckout(): Checkout | undefined {
  for (let folder = dirname(fileURLToPath(import.meta.url)); folder !== dirname(folder); folder = dirname(folder)) {
    try {
      const { name, version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { name?: string; version?: string };
      if (name === "isthmus" && version !== undefined) return { folder, version };
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}
