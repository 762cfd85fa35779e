import { randomUUID } from "node:crypto";
import { fenced } from "./fenced.js";
import type { Store } from "./store.js";

const key = "history";

/** The name of what the store has been through since it was made: all registries that share it say the same, and no other store does. */
export async function storeHistory(store: Pick<Store, "get" | "commit">): Promise<string> {
  let name: string = randomUUID();
  await fenced(store, key, (found) => {
    if (found === undefined) return { op: "put", key, value: Buffer.from(name) };
    name = Buffer.from(found.value).toString();
    return undefined;
  });
  return name;
}
