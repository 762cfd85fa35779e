import { abandonment } from "./abandon.js";
import { authorize } from "./authorize.js";
import type { Begin } from "./begin.js";
import { chain, type Element, type Handler } from "./chain.js";
import type { Prover } from "./checkTokens.js";
import type { Clock } from "./clock.js";
import type { Log } from "./log.js";
import type { Monitor } from "./monitor.js";
import { updatePath } from "./path.js";
import { undoOnFailure } from "./rollback.js";
import { type TokenSource, updateToken } from "./token.js";

/**
 * What every program does with a request that comes in: path, authorize, permit, begin, token, timeout, monitor, and then its own
 * elements, each of which is undone when a first request fails.
 */
export function serverChain(parts: {
  readonly name: string;
  readonly tokens: TokenSource;
  /** Lets through what the site's policy allows; sees tokens that are checked. Absent where there is no policy to ask. */
  readonly permit?: Element | undefined;
  /** Checks tokens of hops that are no peers of this one. */
  readonly prover?: Prover | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly monitor: Monitor;
  /** What is told of each request, also of those that are refused. */
  readonly observed?: Element | undefined;
  readonly begin: Begin;
  readonly timeout: Element;
  readonly elements: readonly Element[];
  readonly tail: Handler;
}): Handler {
  const { begin, timeout, monitor, observed, elements } = parts;
  const { element: abandoned, tail } = abandonment(parts.tail, parts.log);
  return around(
    [
      updatePath(parts.name),
      ...(observed ? [observed] : []),
      authorize({ ...parts, touched: (conn) => begin.touched(conn) }),
      ...(parts.permit ? [parts.permit] : []),
    ],
    begin,
    chain([updateToken(parts.tokens), abandoned, ...[timeout, monitor.element, ...elements].map(undoOnFailure)], tail),
  );
}

/** What a client does with a request that starts here: path, begin, token, refresh, heal, and then its own elements. */
export function clientChain(parts: {
  readonly name: string;
  readonly tokens: TokenSource;
  readonly log: Log;
  readonly begin: Begin;
  readonly refresh?: Element;
  readonly heal?: Element;
  readonly elements: readonly Element[];
  readonly tail: Handler;
}): Handler {
  const { begin, refresh, heal, elements } = parts;
  const { element: abandoned, tail } = abandonment(parts.tail, parts.log);
  const keeping = [refresh, heal].filter((element) => element !== undefined);
  return around(
    [updatePath(parts.name)],
    begin,
    chain([updateToken(parts.tokens), abandoned, ...[...keeping, ...elements].map(undoOnFailure)], tail),
  );
}

function around(outer: readonly Element[], begin: Begin, inner: Handler): Handler {
  begin.bind(inner);
  return chain([...outer, begin], inner);
}
