import type { Store } from "../../../registry/store.js";

/** Makes `count` changes that concern nobody, so that a history moves on. */
export async function filler(store: Store, count: number): Promise<void> {
  for (let at = 0; at <= count; at++) await store.commit({ writes: [{ op: "put", key: "filler", value: Buffer.from(`${at}`) }] });
}
