import { serverChain } from "../core/assembly.js";
import type { Begin } from "../core/begin.js";
import type { Element, Handler } from "../core/chain.js";
import type { Prover } from "../core/checkTokens.js";
import type { Clock } from "../core/clock.js";
import type { Directory } from "../core/directory.js";
import { excludedPrefixes } from "../core/excluded.js";
import { follow } from "../core/follow.js";
import { discoverForwarder } from "../core/forwarders.js";
import { hop } from "../core/hop.js";
import { clientInfo } from "../core/labels.js";
import type { Log } from "../core/log.js";
import type { Monitor } from "../core/monitor.js";
import { observed, type Sinks } from "../core/observed.js";
import { sharedListen } from "../core/sharedListen.js";
import { timeout } from "../core/timeout.js";
import type { TokenSource } from "../core/token.js";
import type { PeerSet } from "../rpc/peers.js";
import type { ServiceMonitor } from "./serviceMonitor.js";

export interface NsmgrChainParts {
  readonly name: string;
  readonly nodeName: string;
  readonly site: string;
  readonly forwarderService: string;
  readonly tokens: TokenSource;
  readonly prover: Prover;
  /** What the site's policy allows. */
  readonly permit: Element;
  readonly clock: Clock;
  readonly log: Log;
  readonly sinks: Sinks;
  readonly monitor: Monitor;
  readonly begin: Begin;
  readonly serviceMonitor: ServiceMonitor;
  /** Knows the forwarders of this node under their own urls. */
  readonly forwarders: Directory;
  readonly forwarderUrls: () => readonly string[];
  readonly excluded: () => readonly string[];
  readonly peers: PeerSet;
}

/** What nsmgr does with a request: it says where it came from, chooses this node's forwarder, and passes it on. */
export function nsmgrChain(parts: NsmgrChainParts): Handler {
  const { name, nodeName, site, tokens, clock, log, monitor, begin, peers } = parts;
  return serverChain({
    ...{ name, tokens, prover: parts.prover, permit: parts.permit, clock, log, monitor, begin },
    observed: observed({ ...parts, hop: "nsmgr" }),
    timeout: timeout({ clock, log, end: (id, due) => begin.end(id, undefined, due) }),
    elements: [
      hop({ program: "nsmgr", node: nodeName, site, clock }),
      clientInfo({ nodeName }),
      parts.serviceMonitor.element,
      discoverForwarder({ directory: parts.forwarders, serviceName: parts.forwarderService, ownUrls: parts.forwarderUrls, log }),
      excludedPrefixes(parts.excluded),
      // After discoverForwarder: it watches the hop that was chosen.
      follow({ listen: sharedListen((url, selector, signal) => peers.monitor(url, selector, signal), clock), monitor, clock, log }),
    ],
    tail: peers.networkService(),
  });
}
