import type { Connection } from "../../../api/gen/connection/connection.js";
import { CountedNode } from "../../../api/gen/isthmus/v1/segment.js";
import { NetworkService, NetworkServiceEndpoint } from "../../../api/gen/registry/registry.js";
import { serverChain } from "../../../core/assembly.js";
import { type Begin, begin } from "../../../core/begin.js";
import type { Call, Element } from "../../../core/chain.js";
import { discover } from "../../../core/discover.js";
import { follow } from "../../../core/follow.js";
import { hop } from "../../../core/hop.js";
import { listenAlone } from "../../../core/listen.js";
import { bySite } from "../../../core/locality.js";
import { DATAPATH, DEAD } from "../../../core/metrics.js";
import { Monitor } from "../../../core/monitor.js";
import { observed } from "../../../core/observed.js";
import { withOwnMetrics } from "../../../core/path.js";
import { permit } from "../../../core/permit.js";
import { inTheirWords } from "../../../core/siteNames.js";
import { timeout } from "../../../core/timeout.js";
import { up } from "../../../core/up.js";
import { Gate } from "../../../identity/policy/gate.js";
import type { PolicySource } from "../../../identity/policy/inForce.js";
import { audited } from "../../../rpc/audited.js";
import { WatchedDirectory } from "../../../rpc/directory.js";
import { policedMonitor } from "../../../rpc/policed.js";
import type { MeshWorld } from "../mesh.js";
import { Disk } from "./disk.js";
import { meshIdentity } from "./identities.js";
import { StubInterfaces } from "./interfaces.js";
import { Mortal } from "./mortal.js";
import { meshPolicy } from "./policy.js";

/** What a test may do to a request on its way through a forwarder: throw, wait, or look. */
export type Interference = (call: Call) => Promise<void> | void;

/** A forwarder without a kernel: it chooses endpoints, answers mechanisms and keeps a list of the interfaces it would have made. */
export class StubForwarder {
  readonly name: string;
  readonly url: string;
  /** What its kernel would have; a kill does not change it. */
  readonly interfaces = new StubInterfaces();
  /** Whether packets cross, as its check of a connection that is down would find. */
  dataPath: "alive" | "dead" = "alive";
  /** On the way there, before anything is made here. */
  before: Interference = () => {};
  /** On the way back, after the next hop has answered. */
  after: Interference = () => {};
  /** Who is in a segment here. */
  readonly members = new Map<string, readonly string[]>();
  readonly #world: MeshWorld;
  readonly #nodeName: string;
  readonly #nsmgrUrl: string;
  #run:
    | {
        readonly mortal: Mortal;
        readonly begin: Begin;
        readonly monitor: Monitor;
        readonly policy: PolicySource;
        readonly stop: AbortController;
      }
    | undefined;

  constructor(world: MeshWorld, nodeName: string, nsmgrUrl: string) {
    this.#world = world;
    this.#nodeName = nodeName;
    this.#nsmgrUrl = nsmgrUrl;
    this.name = `forwarder-${nodeName}`;
    this.url = `unix:///run/${nodeName}/forwarder.sock`;
  }

  /** Resolves when it is registered. */
  async start(): Promise<void> {
    const { audit } = this.#world;
    const log = this.#world.log.child({ program: this.name });
    const identity = await meshIdentity(this.#world, `node/${this.#nodeName}/forwarder`);
    const { tokens, prover } = identity;
    const mortal = new Mortal(this.#world, identity);
    const { clock, peers } = mortal;
    const monitor = new Monitor();
    const connections = begin({ log });
    const tail = inTheirWords(peers.networkService());
    const registries = { services: peers.services(this.#nsmgrUrl), endpoints: peers.endpoints(this.#nsmgrUrl) };
    const onDown = (conn: Connection, reason: string) =>
      reason === "deleted" || this.dataPath === "dead" ? withOwnMetrics(conn, { [DATAPATH]: DEAD }) : conn;
    const directory = new WatchedDirectory({ ...registries, clock, log });
    const site = this.#world.siteOf(this.#nodeName);
    const policy = meshPolicy({ peers, from: this.#nsmgrUrl, disk: mortal.store(new Disk()), audit, clock, log });
    const gate = new Gate({ source: policy, audit, site });
    const server = serverChain({
      permit: permit({ prover, check: (asking, service) => gate.check(asking, "request", service) }),
      ...{ name: this.name, tokens, prover, clock, log, monitor, begin: connections, tail },
      observed: observed({ sinks: this.#world.sinks(this.name), hop: "forwarder", clock, log }),
      timeout: timeout({ clock, log, end: (id, due) => connections.end(id, undefined, due) }),
      elements: [
        hop({ program: "forwarder", node: this.#nodeName, site, clock }),
        this.#interference,
        discover({
          ...{ directory, log, clock, tail },
          ...{ locality: bySite({ directory, service: "forwarder", site, log }), load: () => 0, random: () => 0 },
        }),
        up(),
        this.interfaces.element,
        follow({ listen: listenAlone((url, selector, signal) => peers.monitor(url, selector, signal)), monitor, clock, log, onDown }),
      ],
    });
    const offered = { networkService: server, monitor: policedMonitor(monitor, gate), segmentCounters: { read: this.#counted } };
    mortal.listen([this.url], audited(offered, audit), this.name);
    const stop = new AbortController();
    this.#run = { mortal, begin: connections, monitor, policy, stop };
    await this.#register(mortal);
    void this.#keepRegistered(mortal, stop.signal);
  }

  /** What it follows, while it runs. */
  get policy(): PolicySource | undefined {
    return this.#run?.policy;
  }

  /** The connections that it has. */
  get connections(): Connection[] {
    return this.#run?.begin.list() ?? [];
  }

  /** Publishes as its liveness check would: what runs through here is dead. */
  reportDead(): void {
    this.dataPath = "dead";
    const { monitor } = this.#alive();
    for (const conn of monitor.list()) monitor.update({ ...withOwnMetrics(conn, { [DATAPATH]: DEAD }), state: 1 });
  }

  /** Ends all that runs through here, from inside. */
  async endAll(): Promise<void> {
    const { begin } = this.#alive();
    for (const { id } of begin.list()) await begin.end(id);
  }

  /** As kill -9. */
  async kill(): Promise<void> {
    this.#run?.stop.abort();
    await this.#run?.mortal.kill();
    this.#run = undefined;
  }

  readonly #counted = async (segment: string): Promise<CountedNode> => {
    const members = this.members.get(segment) ?? [];
    return CountedNode.fromPartial({ node: this.#nodeName, members: members.map((name) => ({ name })) });
  };

  #alive() {
    if (this.#run === undefined) throw new Error(`${this.name} does not run`);
    return this.#run;
  }

  get #interference(): Element {
    return {
      name: "interference",
      request: async (call, next) => {
        await this.before(call);
        const conn = await next.request(call);
        await this.after(call);
        return conn;
      },
    };
  }

  async #register({ peers }: Mortal): Promise<void> {
    const { signal } = new AbortController();
    await peers.services(this.#nsmgrUrl).register(NetworkService.fromPartial({ name: "forwarder", payload: "IP" }), { signal });
    const labels = { p2p: "true", nodeName: this.#nodeName, site: this.#world.siteOf(this.#nodeName) };
    const endpoint = {
      name: this.name,
      url: this.url,
      networkServiceNames: ["forwarder"],
      networkServiceLabels: { forwarder: { labels } },
    };
    await peers.endpoints(this.#nsmgrUrl).register(NetworkServiceEndpoint.fromPartial(endpoint), { signal });
  }

  async #keepRegistered(mortal: Mortal, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await mortal.clock.sleep(this.#world.expirePeriodMs / 3, signal).catch(() => {});
      if (!signal.aborted) await this.#register(mortal).catch(() => {});
    }
  }
}
