import { MeshError } from "../core/error.js";
import { type Transaction, transactionLimit } from "./store.js";

/** LMDB's limit for a key is 1,978 bytes; a lease's name goes before it. */
const longestKey = 1_800;
/** etcd's default limit for a request is 1.5 MiB. */
const largestValue = 1 << 20;

/** Throws "invalid" for a transaction that no store could run. */
export function checkTransaction({ conditions = [], writes }: Transaction): void {
  for (const [what, count] of [["conditions", conditions.length] as const, ["writes", writes.length] as const])
    if (count > transactionLimit) throw new MeshError("invalid", `a transaction has at most ${transactionLimit} ${what}, got ${count}`);
  const keys = new Set<string>();
  for (const write of writes) {
    checkKey(write.key);
    if (keys.has(write.key)) throw new MeshError("invalid", `a transaction writes a key once, got ${write.key} twice`);
    keys.add(write.key);
    if (write.op === "put" && write.value.byteLength > largestValue)
      throw new MeshError("invalid", `a value has at most ${largestValue} bytes, got ${write.value.byteLength} for ${write.key}`);
  }
}

function checkKey(key: string): void {
  if (key === "" || key.includes("\u0000"))
    throw new MeshError("invalid", `a key has characters, and no NUL among them, got ${JSON.stringify(key)}`);
  const bytes = Buffer.byteLength(key);
  if (bytes > longestKey) throw new MeshError("invalid", `a key has at most ${longestKey} bytes, got ${bytes}`);
}
