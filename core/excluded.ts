import type { Connection } from "../api/gen/connection/connection.js";
import type { Element } from "./chain.js";

/** Tells the endpoint which prefixes it must not give addresses from. For nsmgr. */
export function excludedPrefixes(_prefixes: () => readonly string[]): Element {
  throw new Error("soon");
}

/** Excludes what the client's other connections use, and refuses an answer that uses it all the same. For the client's side. */
export function excludedByOthers(_others: (conn: Connection) => readonly Connection[]): Element {
  throw new Error("soon");
}
