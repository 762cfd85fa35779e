import type { Audit } from "../core/audit.js";
import { background } from "../core/background.js";
import { begin } from "../core/begin.js";
import type { Clock } from "../core/clock.js";
import { connectionStates } from "../core/connectionStates.js";
import type { Log } from "../core/log.js";
import { Monitor } from "../core/monitor.js";
import { noSinks, type Sinks } from "../core/observed.js";
import { permit } from "../core/permit.js";
import { timeout } from "../core/timeout.js";
import type { Identity } from "../identity/identity.js";
import { Gate } from "../identity/policy/gate.js";
import type { PolicySource } from "../identity/policy/inForce.js";
import { parseSpiffeId } from "../identity/spiffe.js";
import type { Kernel } from "../kernel/model.js";
import type { StateStore } from "../program/state.js";
import { audited } from "../rpc/audited.js";
import { WatchedDirectory } from "../rpc/directory.js";
import type { PeerSet } from "../rpc/peers.js";
import { policedMonitor } from "../rpc/policed.js";
import { followSegments } from "../rpc/segmentFollower.js";
import type { RunningServer, Services } from "../rpc/server.js";
import { forwarderChain } from "./chain.js";
import type { Announce } from "./connect.js";
import { Dataplane } from "./dataplane.js";
import type { NodeView, TunnelNode } from "./desired.js";
import { Liveness, type Ping, patientPing } from "./liveness.js";
import { way } from "./mechanisms/choice.js";
import { OwnEnd, type Underlay } from "./mechanisms/ends.js";
import { kernelWay } from "./mechanisms/kernel.js";
import { nodeTunnelWay } from "./mechanisms/nodeTunnel.js";
import { vxlanWay } from "./mechanisms/vxlan.js";
import { type PortRange, type WireguardWayParts, wireguardWay } from "./mechanisms/wireguard.js";
import type { Pods } from "./pods.js";
import { keepRegistered } from "./registration.js";
import { segmentGauges } from "./segments/gauges.js";
import { KnownSegments } from "./segments/known.js";
import type { OpenNames } from "./segments/names.js";
import { ownNode } from "./segments/ownNode.js";
import { Segments } from "./segments/segments.js";
import type { Spaces } from "./segments/space.js";
import { StickyClaims } from "./segments/stickyClaims.js";
import { segmentCounters } from "./segments/traffic.js";
import { Trunks } from "./segments/trunks.js";
import { StoppableClock } from "./stoppableClock.js";
import type { TunnelLink } from "./tunnel/link.js";
import { NodeTunnel } from "./tunnel/tunnel.js";
import { idOf, Wanted } from "./wanted.js";

export interface ForwarderConfig {
  readonly name: string;
  readonly site: string;
  readonly node: string;
  /** Its nsmgr. */
  readonly connectTo: string;
  readonly listenOn: readonly string[];
  /** The network service of forwarders. */
  readonly service: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly allowPlain: boolean;
  readonly vxlanPort: number;
  readonly wireguardPorts: PortRange;
  readonly tokenLifetimeMs: number;
}

export interface ForwarderParts {
  readonly config: ForwarderConfig;
  readonly kernel: Kernel;
  readonly pods: Pods;
  /** The network namespaces of segments. */
  readonly spaces: Spaces;
  /** Answers for the names of segments. */
  readonly openNames: OpenNames;
  readonly tunnel: TunnelNode;
  readonly link: TunnelLink;
  readonly underlay: Underlay;
  readonly keys: WireguardWayParts["keys"];
  readonly ping: Ping;
  readonly announce: Announce;
  readonly store: StateStore;
  readonly identity: Pick<Identity, "id" | "tokens" | "prover">;
  /** The site's, as this node last heard it. */
  readonly policy: PolicySource;
  readonly audit: Audit;
  readonly peers: PeerSet;
  readonly listen: (urls: readonly string[], services: Services) => Promise<RunningServer>;
  readonly random: () => number;
  readonly clock: Clock;
  readonly log: Log;
  readonly sinks?: Sinks | undefined;
}

/** A running forwarder. Disposing stops the program and leaves the kernel as it is. */
export interface Forwarder extends AsyncDisposable {
  /** What it really listens on. */
  readonly urls: readonly string[];
  readonly wanted: Wanted;
}

/** Adopts what an earlier run left, then serves, then registers itself. */
export async function startForwarder(parts: ForwarderParts): Promise<Forwarder> {
  const { config, log, pods, kernel, sinks = noSinks } = parts;
  const clock = new StoppableClock(parts.clock);
  const stop = new AbortController();
  const connections = begin({ log });
  const monitor = new Monitor();
  const timer = timeout({ clock, log, end: (id, due) => connections.end(id, undefined, due) });

  const dataplane: Dataplane = new Dataplane({
    ...{ kernel, clock, log, exists: (pod) => pods.exists(pod) },
    onPodGone: (unit) => background(log, "closing the connection of a pod that is gone", letGo(idOf(unit)), { connection: idOf(unit) }),
  });
  const view: NodeView = { tunnel: parts.tunnel, peerMtu: (address) => tunnel.peerMtu(address) };
  const wanted = new Wanted({ store: parts.store, dataplane, view, log });
  const tunnel: NodeTunnel = new NodeTunnel({
    ...{ node: parts.tunnel, link: parts.link, store: parts.store, dataplane, clock, log, meter: sinks.meter },
    inUse: (address) => wanted.uses(address) || segments.uses(address),
    onPeerChange: (address) => {
      wanted.again(address);
      segments.wayChanged(address);
    },
  });
  const letGo = async (id: string | undefined): Promise<void> => {
    if (id === undefined) return;
    log.info("pod is gone, closing its connection", { connection: id });
    await connections.end(id);
    if (connections.current(id) !== undefined) return;
    await wanted.remove(id);
    await segments.leave(id);
  };
  const sticky = new StickyClaims({ api: parts.peers.sticky(config.connectTo), log });
  let adopt = () => {};
  /** What an earlier run left is known to be there, and so can be closed. */
  const adopted = new Promise<void>((resolve) => {
    adopt = resolve;
  });
  const superseded = (id: string) => adopted.then(() => connections.end(id));
  const told = followSegments(parts.peers, { from: [config.connectTo], clock, log });
  const known = new KnownSegments({ told, store: parts.store, clock, log });
  const segments: Segments = new Segments({
    ...{
      known,
      tunnel,
      pods,
      clock,
      log,
      store: parts.store,
      spaces: parts.spaces,
      openNames: parts.openNames,
      sticky,
      claims: wanted.claims,
      forwarder: config.name,
    },
    ...{ blocks: parts.peers.blocks(config.connectTo), endpoints: parts.peers.endpoints(config.connectTo) },
    own: ownNode({ ...parts, ...config, id: parts.identity.id }),
    trunks: new Trunks({ tunnel, site: config.site, isReachedAbroad: parts.underlay.external !== "none", log }),
    reaches: (address, signal) => parts.link.reaches(address, signal),
    url: config.listenOn[0] ?? "",
    onPodGone: (id) => background(log, "closing the connection of a pod that is gone", letGo(id), { connection: id }),
    onSuperseded: (id) => background(log, "closing the connection of a member that was superseded", superseded(id), { connection: id }),
    onDeleted: (id) => background(log, "closing the connection of a segment that is gone", connections.end(id), { connection: id }),
  });
  const liveness = new Liveness({ kernel, ping: patientPing(parts.ping, log), wanted, monitor, clock, log });
  const directory = new WatchedDirectory({
    services: parts.peers.services(config.connectTo),
    endpoints: parts.peers.endpoints(config.connectTo),
    ...{ clock, log },
  });
  const gate = new Gate({ source: parts.policy, audit: parts.audit, site: config.site });
  const { prover } = parts.identity;
  const handler = forwarderChain({
    permit: permit({ prover, check: (asking, service) => gate.check(asking, "request", service) }),
    ...{
      ...parts,
      tokens: parts.identity.tokens,
      prover,
      ...config,
      clock,
      sinks,
      monitor,
      begin: connections,
      timeout: timer,
      liveness,
      wanted,
      segments,
      sticky,
      view,
      directory,
    },
    ways: ways({ ...parts, clock }, wanted, tunnel),
  });

  connectionStates(sinks.meter, "forwarder", monitor);
  segmentGauges(sinks.meter, segments);
  tunnel.load();
  const kept = wanted.restore();
  await dataplane.start();
  const members = await segments.restore();
  for (const { connection } of [...kept, ...members]) {
    connections.adopt(connection);
    monitor.adopt(connection);
    // Nobody could refresh while we were away, so each gets a whole lifetime.
    timer.adopt(connection.id, config.tokenLifetimeMs);
  }
  adopt();
  segments.follow();
  for (const { connect } of kept) liveness.add(connect);
  const server = await parts.listen(
    config.listenOn,
    audited(
      { networkService: handler, monitor: policedMonitor(monitor, gate), segmentCounters: segmentCounters(segments, config.node) },
      parts.audit,
    ),
  );
  const registered = keepRegistered(
    {
      services: parts.peers.services(config.connectTo),
      endpoints: parts.peers.endpoints(config.connectTo),
      ...{ service: config.service, name: config.name, url: server.urls[0] ?? "", clock, log },
      labels: { nodeName: config.node, site: config.site, ...config.labels },
    },
    stop.signal,
  );
  return {
    urls: server.urls,
    wanted,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await registered;
      await told[Symbol.asyncDispose]();
      known[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
      liveness[Symbol.dispose]();
      tunnel[Symbol.dispose]();
      await segments[Symbol.asyncDispose]();
      await dataplane[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
      clock[Symbol.dispose]();
    },
  };
}

/** What this node can do, the best first. */
function ways(parts: ForwarderParts, { claims }: Wanted, tunnel: NodeTunnel) {
  const { config, underlay, link, clock, keys, pods } = parts;
  const { id, prover } = parts.identity;
  const own = new OwnEnd({ underlay, site: config.site, trustDomain: parseSpiffeId(id).trustDomain });
  return [
    way(kernelWay({ pods, claims })),
    way(nodeTunnelWay({ tunnel, claims, own, prover })),
    way(wireguardWay({ claims, underlay, own, link, clock, keys, ports: config.wireguardPorts })),
    way(vxlanWay({ claims, underlay, own, port: config.vxlanPort, allowPlain: config.allowPlain })),
  ];
}
