import type { Connection } from "../api/gen/connection/connection.js";
import type { Element } from "./chain.js";
import type { Clock } from "./clock.js";
import type { Log } from "./log.js";

/** Asks again well before the first token of the path ends; after a failure again in 200 ms, 400 ms ... 2 s. For the client's side. */
export function refresh(_parts: {
  readonly clock: Clock;
  readonly log: Log;
  readonly again: (id: string) => Promise<Connection>;
}): Element {
  throw new Error("soon");
}
