import { serverChain } from "../core/assembly.js";
import type { Begin } from "../core/begin.js";
import type { Element, Handler } from "../core/chain.js";
import type { Prover } from "../core/checkTokens.js";
import type { Clock } from "../core/clock.js";
import type { Directory } from "../core/directory.js";
import { discover } from "../core/discover.js";
import { follow } from "../core/follow.js";
import { hop } from "../core/hop.js";
import { bySite } from "../core/locality.js";
import type { Log } from "../core/log.js";
import type { Monitor } from "../core/monitor.js";
import { observed, type Sinks } from "../core/observed.js";
import { sharedListen } from "../core/sharedListen.js";
import { inTheirWords } from "../core/siteNames.js";
import type { TokenSource } from "../core/token.js";
import { up } from "../core/up.js";
import type { Kernel } from "../kernel/model.js";
import type { PeerSet } from "../rpc/peers.js";
import { type ConnectParts, connect } from "./connect.js";
import type { Liveness } from "./liveness.js";
import { counters } from "./metrics.js";
import { elsewhere } from "./segments/elsewhere.js";
import { join } from "./segments/join.js";
import type { Segments } from "./segments/segments.js";
import type { StickyClaims } from "./segments/stickyClaims.js";

export interface ChainParts extends ConnectParts {
  readonly name: string;
  readonly node: string;
  readonly site: string;
  /** The network service of forwarders. */
  readonly service: string;
  readonly tokens: TokenSource;
  readonly prover: Prover;
  /** What the site's policy allows. */
  readonly permit: Element;
  readonly peers: PeerSet;
  readonly directory: Directory;
  readonly monitor: Monitor;
  readonly begin: Begin;
  readonly timeout: Element;
  readonly segments: Segments;
  readonly sticky: StickyClaims;
  readonly liveness: Liveness;
  readonly kernel: Pick<Kernel, "counters">;
  readonly random: () => number;
  readonly clock: Clock;
  readonly log: Log;
  readonly sinks: Sinks;
}

/** The forwarder, read from top to bottom: what happens to a request that comes in. */
export function forwarderChain(parts: ChainParts): Handler {
  const tail = inTheirWords(parts.peers.networkService());
  return serverChain({
    ...parts,
    observed: observed({ ...parts, hop: "forwarder" }),
    elements: [
      hop({ ...parts, program: "forwarder" }),
      join({ ...parts, forwarder: parts.name }),
      elsewhere(parts),
      discover({ ...parts, tail, locality: bySite(parts), load: (name) => parts.wanted.load(name) }),
      up(),
      counters(parts),
      parts.liveness.element,
      connect(parts),
      follow({
        ...parts,
        listen: sharedListen((url, selector, signal) => parts.peers.monitor(url, selector, signal), parts.clock),
        onDown: (conn, reason) => parts.liveness.onDown(conn, reason),
      }),
    ],
    tail,
  });
}
