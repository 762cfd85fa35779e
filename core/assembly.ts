import type { Begin } from "./begin.js";
import type { Element, Handler } from "./chain.js";
import type { Clock } from "./clock.js";
import type { Log } from "./log.js";
import type { Monitor } from "./monitor.js";
import type { TokenSource } from "./token.js";

/** What every program does with a request that comes in: path, begin, token, timeout, monitor, and then its own elements. */
export function serverChain(_parts: {
  readonly name: string;
  readonly tokens: TokenSource;
  readonly clock: Clock;
  readonly log: Log;
  readonly monitor: Monitor;
  readonly begin: Begin;
  readonly timeout: Element;
  readonly elements: readonly Element[];
  readonly tail: Handler;
}): Handler {
  throw new Error("soon");
}

/** What a client does with a request that starts here: path, begin, token, refresh, heal, and then its own elements. */
export function clientChain(_parts: {
  readonly name: string;
  readonly tokens: TokenSource;
  readonly begin: Begin;
  readonly refresh?: Element;
  readonly heal?: Element;
  readonly elements: readonly Element[];
  readonly tail: Handler;
}): Handler {
  throw new Error("soon");
}
