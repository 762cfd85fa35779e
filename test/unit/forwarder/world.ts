import { Connection, type Mechanism } from "../../../api/gen/connection/connection.js";
import type { NetworkService, NetworkServiceEndpoint } from "../../../api/gen/registry/registry.js";
import { type Call, chain, type Handler } from "../../../core/chain.js";
import type { Clock } from "../../../core/clock.js";
import { withContext, withIpContext } from "../../../core/context.js";
import { MeshError } from "../../../core/error.js";
import { type Log, silent } from "../../../core/log.js";
import { PREFERRED } from "../../../core/mechanism.js";
import { updatePath } from "../../../core/path.js";
import { updateToken } from "../../../core/token.js";
import type { TunnelNode } from "../../../forwarder/desired.js";
import { type Forwarder, type ForwarderParts, startForwarder } from "../../../forwarder/forwarder.js";
import type { Underlay } from "../../../forwarder/mechanisms/ends.js";
import type { Pods } from "../../../forwarder/pods.js";
import { tunnelKeyClaim } from "../../../forwarder/tunnel/address.js";
import { tunnelNode } from "../../../forwarder/tunnel/node.js";
import type { Identity } from "../../../identity/identity.js";
import { builtIn, HeldPolicy } from "../../../identity/policy/inForce.js";
import { FakeMachine } from "../../../kernel/fake/machine.js";
import { FakeKernel } from "../../../kernel/fake.js";
import type { Netns } from "../../../kernel/model.js";
import { deviceName } from "../../../kernel/names.js";
import { systemClock } from "../../../program/clock.js";
import { MemoryNetwork } from "../../../rpc/memory.js";
import type { PeerSet } from "../../../rpc/peers.js";
import type { Found, Registry } from "../../../rpc/registry.js";
import { segmentFeed } from "../../../rpc/segmentApi.js";
import { testIdentity } from "../../lib/identities.js";
import { MemoryAudit } from "../../lib/mesh/audit.js";
import { Disk } from "../../lib/mesh/disk.js";
import { FakeBlocks, FakeSegments, FakeSpaces, FakeSticky } from "./segments/fakes.js";

/** A registry that forgets nothing; who watches it is told. */
class StaticRegistry<T extends { name: string }> implements Registry<T> {
  readonly #values = new Map<string, T>();
  readonly #watchers = new Set<(value: T) => void>();
  readonly #matches: (query: T, value: T) => boolean;

  constructor(matches: (query: T, value: T) => boolean) {
    this.#matches = matches;
  }

  async register(value: T): Promise<T> {
    this.#values.set(value.name, value);
    for (const tell of this.#watchers) tell(value);
    return value;
  }

  get(name: string): T | undefined {
    return this.#values.get(name);
  }

  async unregister(value: T): Promise<void> {
    this.#values.delete(value.name);
  }

  /** Resolves when what watchers were told has been taken. */
  async heard(_name: string): Promise<void> {
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  }

  async *find(query: T, options: { readonly watch: boolean }, { signal }: { readonly signal: AbortSignal }): AsyncIterable<Found<T>> {
    const queue = [...this.#values.values()];
    let wake = () => {};
    const tell = (value: T) => {
      queue.push(value);
      wake();
    };
    this.#watchers.add(tell);
    signal.addEventListener("abort", () => wake(), { once: true });
    try {
      for (;;) {
        for (const value of queue.splice(0)) if (this.#matches(query, value)) yield { value, deleted: false };
        if (!options.watch || signal.aborted) return;
        if (queue.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      this.#watchers.delete(tell);
    }
  }
}

/** What a forwarder runs on: a pretended machine, or a real one. */
export interface Machine {
  readonly underlay: Underlay;
  tunnel(subject: string): TunnelNode;
  /** For one run of the forwarder. */
  open(): Promise<
    Pick<ForwarderParts, "kernel" | "pods" | "spaces" | "link" | "keys" | "ping" | "announce"> & { readonly close?: () => Promise<void> }
  >;
}

/** One node: a machine, a disk, and a forwarder that can be stopped and started again. */
export class Node<M extends Machine> {
  readonly machine: M;
  readonly disk = new Disk();
  readonly url: string;
  readonly #world: World<M>;
  readonly #number: number;
  readonly #log: Log;
  #running: { readonly forwarder: Forwarder; readonly close: (() => Promise<void>) | undefined } | undefined;

  constructor(world: World<M>, number: number, machine: M, log: Log) {
    this.#world = world;
    this.#number = number;
    this.#log = log;
    this.machine = machine;
    this.url = `unix:///run/node-${number}/forwarder.sock`;
  }

  async start(options: { readonly allowPlain?: boolean } = {}): Promise<void> {
    const { network } = this.#world;
    const number = this.#number;
    const { subject } = this;
    const { clock } = this.#world;
    const tunnel = this.machine.tunnel(subject);
    const identity = await testIdentity(subject, clock, { claims: { [tunnelKeyClaim]: tunnel.publicKey } });
    const { close, ...open } = await this.machine.open();
    const forwarder = await startForwarder({
      ...open,
      tunnel,
      underlay: this.machine.underlay,
      store: this.disk,
      policy: new HeldPolicy(builtIn("test")),
      openNames: async () => ({ [Symbol.asyncDispose]: async () => {} }),
      audit: new MemoryAudit(clock),
      identity,
      peers: network.peers({ identity, clock }),
      listen: async (urls, services) => {
        // The second URL is what other nodes dial: nsmgr would stand there.
        const listening = [...urls, `tcp://node-${number}:5001`].map((url) =>
          network.listen(url, services, `forwarder-${number}`, identity),
        );
        return { urls, [Symbol.asyncDispose]: async () => listening.forEach((one) => void one[Symbol.dispose]()) };
      },
      random: () => 0,
      clock,
      log: this.#log,
      config: {
        name: `forwarder-${number}`,
        site: "test",
        node: `node-${number}`,
        connectTo: `unix:///run/node-${number}/nsmgr.sock`,
        listenOn: [this.url],
        service: "forwarder",
        labels: { p2p: "true" },
        allowPlain: options.allowPlain ?? false,
        vxlanPort: 4789,
        wireguardPorts: { first: 51821, last: 51822 },
        tokenLifetimeMs: 600_000,
      },
    });
    this.#running = { forwarder, close };
  }

  get subject(): string {
    return `spiffe://test/node-${this.#number}/forwarder`;
  }

  /** On which it ever received. */
  readonly vnis = new Set<number>();

  /** Remembers the VNIs of now, for `readable`. */
  noteVnis(): void {
    for (const { connect } of this.#running?.forwarder.wanted.list() ?? []) {
      for (const side of [connect.client, connect.endpoint]) if (side.kind === "node-tunnel") this.vnis.add(side.vni);
    }
  }

  get runs(): boolean {
    return this.#running !== undefined;
  }

  get forwarder(): Forwarder {
    if (this.#running === undefined) throw new Error("the forwarder does not run");
    return this.#running.forwarder;
  }

  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    await running?.forwarder[Symbol.asyncDispose]();
    await running?.close?.();
  }
}

/** A machine that is a table in memory. */
export class Pretended implements Machine {
  readonly kernelMachine = new FakeMachine();
  readonly pods = new FakePods(this.kernelMachine);
  readonly underlay: Underlay;
  kernel = new FakeKernel(this.kernelMachine);
  readonly spaces = new FakeSpaces(this.kernelMachine);
  /** Whether packets reach the other nodes. */
  reachable = true;
  /** Whether pings are answered. */
  answers = true;
  pathMtu = 1440;
  readonly announced: string[] = [];
  readonly #number: number;

  constructor(number: number) {
    this.#number = number;
    this.underlay = { ip: `192.0.2.${number}`, mtu: 1500, wireguard: "kernel" };
  }

  tunnel(subject: string): TunnelNode {
    const publicKey = `${String.fromCharCode(64 + this.#number).repeat(42)}A=`;
    return tunnelNode({ id: subject, node: subject, keyFile: "/keys/node", publicKey, listenPort: 51820, underlay: this.underlay });
  }

  async open() {
    const kernel = new FakeKernel(this.kernelMachine);
    this.kernel = kernel;
    const status = async (device: string) =>
      this.kernelMachine.objects().flatMap((object) => {
        if (object.kind !== "wireguard-peer" || object.device !== device || !this.reachable) return [];
        return [{ publicKey: object.publicKey, lastHandshake: systemClock.now(), rxBytes: 1, txBytes: 1 }];
      });
    return {
      ...{
        kernel,
        pods: this.pods,
        spaces: this.spaces,
        link: { status, pathMtu: async () => this.pathMtu, reaches: async () => this.reachable },
      },
      keys: { offer: () => `${"K".repeat(42)}A=`, write: (id: string) => `/keys/${id}`, remove: () => {} },
      ping: async () => this.answers,
      announce: ({ name }: { name: string }, addresses: readonly string[]) => void this.announced.push(`${name} ${addresses.join(" ")}`),
    };
  }

  /** What the kernel has, as commands. */
  text(): string {
    return this.kernel.text();
  }

  /** Resolves when the kernel is so, looked at after each change. */
  async until(holds: () => boolean): Promise<void> {
    if (holds()) return;
    await new Promise<void>((resolve) => {
      const listening = this.kernelMachine.hear(() => {
        if (!holds()) return;
        listening[Symbol.dispose]();
        resolve();
      });
    });
  }

  /** What was done since the last call, as commands. */
  done(): string {
    return this.kernel.commands.splice(0).join("\n");
  }
}

/** Namespaces of a pretended machine. */
export class FakePods implements Pods {
  readonly #machine: FakeMachine;
  readonly #there = new Map<string, Netns>();

  constructor(machine: FakeMachine) {
    this.#machine = machine;
  }

  add(name: string): Netns {
    const pod = this.#machine.addPod(name);
    this.#there.set(`file://${pod.path}`, pod);
    return pod;
  }

  remove(pod: Netns): void {
    this.#there.delete(`file://${pod.path}`);
    this.#machine.removePod(pod);
  }

  resolve(url: string): Netns {
    const pod = this.#there.get(url);
    if (pod === undefined) throw new MeshError("not-found", `there is no network namespace at ${url}`);
    return pod;
  }

  hasInterface(pod: Netns, name: string): boolean {
    return ["lo", "eth0"].includes(name) || this.#machine.port(pod, name) !== undefined;
  }

  /** The pods whose processes may ping. */
  readonly pinging: string[] = [];

  allowPing(pod: Netns): void {
    this.pinging.push(pod.path);
  }

  /** The same namespace under another URL. */
  alias(url: string, pod: Netns): void {
    this.#there.set(url, pod);
  }

  exists(pod: Netns): boolean {
    return this.#there.get(`file://${pod.path}`)?.cookie === pod.cookie;
  }
}

export interface EndpointOptions {
  readonly name?: string;
  readonly service?: string;
  readonly payload?: "IP" | "ETHERNET";
  readonly src?: readonly string[];
  readonly dst?: readonly string[];
  readonly change?: (conn: Connection) => Connection;
}

export interface WorldOptions {
  readonly allowPlain?: boolean;
  readonly log?: Log;
  readonly clock?: Clock;
}

interface Identities {
  readonly client: Identity;
  readonly nsmgr: Identity;
}

/** A few nodes that share a registry, clients and endpoints, in one process and without a kernel. */
export class World<M extends Machine> implements AsyncDisposable {
  readonly network = new MemoryNetwork();
  readonly clock: Clock;
  readonly nodes: readonly Node<M>[];
  readonly closed: string[] = [];
  readonly segments = new FakeSegments();
  readonly blocks = new FakeBlocks();
  readonly sticky = new FakeSticky();
  readonly #client: PeerSet;
  readonly #identities: Identities;
  readonly #services = new StaticRegistry<NetworkService>((query, { name }) => query.name === "" || query.name === name);
  readonly #endpoints: StaticRegistry<NetworkServiceEndpoint>[] = [];
  readonly #names = new Map<string, string>();
  #listening: Disposable[] = [];

  private constructor(machines: readonly M[], { log, clock, identities }: { log: Log; clock: Clock; identities: Identities }) {
    this.clock = clock;
    this.#identities = identities;
    const nodes = machines.length;
    this.nodes = machines.map((machine, i) => new Node(this, i + 1, machine, log));
    this.#client = this.network.peers({ identity: identities.client, clock });
    for (let i = 1; i <= nodes; i++) {
      const endpoints = new StaticRegistry<NetworkServiceEndpoint>(
        (query, value) =>
          (query.name === "" || query.name === value.name) &&
          query.networkServiceNames.every((name) => value.networkServiceNames.includes(name)),
      );
      this.#endpoints.push(endpoints);
      this.#listening.push(
        this.network.listen(
          `unix:///run/node-${i}/nsmgr.sock`,
          { services: this.#services, endpoints, segmentFeed: segmentFeed(this.segments), blocks: this.blocks, sticky: this.sticky },
          "nsmgr",
          identities.nsmgr,
        ),
      );
    }
  }

  static async pretend(nodes = 1, options: WorldOptions = {}): Promise<World<Pretended>> {
    return World.start(
      Array.from({ length: nodes }, (_, i) => new Pretended(i + 1)),
      options,
    );
  }

  static async start<M extends Machine>(machines: readonly M[], options: WorldOptions = {}): Promise<World<M>> {
    const clock = options.clock ?? systemClock;
    const [client, nsmgr] = await Promise.all(["client", "nsmgr"].map((name) => testIdentity(`spiffe://test/${name}`, clock)));
    const identities = { client, nsmgr } as Identities;
    const world = new World(machines, { log: options.log ?? silent, clock, identities });
    for (const node of world.nodes) await node.start(options);
    return world;
  }

  node(number: number): Node<M> {
    const node = this.nodes[number - 1];
    if (node === undefined) throw new Error(`there is no node ${number}`);
    return node;
  }

  /** An endpoint of `service` on a node, in a pod of its own. Its addresses are always the same ones. */
  async serve(on: number, pod: Netns, options: EndpointOptions = {}): Promise<Disposable> {
    const {
      name = "nse",
      service = "db",
      payload = "IP",
      src = ["172.16.1.1/32"],
      dst = ["172.16.1.0/32"],
      change = (conn) => conn,
    } = options;
    const url = `unix:///run/node-${on}/${name}.sock`;
    const answer: Handler = {
      request: async ({ connection, preferences }) => {
        const mechanism = connection.mechanism ?? preferences[0];
        const parameters = { ...mechanism?.parameters, inodeURL: `file://${pod.path}` };
        const assigned = { srcIpAddrs: [...src], dstIpAddrs: [...dst], srcRoutes: dst.map(route), dstRoutes: src.map(route) };
        const answered = { ...connection, payload, mechanism: { cls: "LOCAL", type: "KERNEL", parameters } };
        return change(withIpContext(withContext(answered, {}), assigned));
      },
      close: async ({ connection }) => void this.closed.push(`${name} ${this.readable(connection.id)}`),
    };
    const identity = this.#identities.nsmgr;
    const handler = chain([updatePath(name), updateToken(identity.tokens)], answer);
    const listening = this.network.listen(url, { networkService: handler }, name, identity);
    this.#listening.push(listening);
    await this.#services.register({ name: service, payload, matches: [], pathIds: [] });
    for (const [i, registry] of this.#endpoints.entries()) {
      await registry.register({
        ...{
          name,
          networkServiceNames: [service],
          networkServiceLabels: {},
          expirationTime: undefined,
          initialRegistrationTime: undefined,
        },
        ...{ url: i + 1 === on ? url : `tcp://node-${on}:5001`, pathIds: [] },
      });
    }
    return listening;
  }

  /** Resolves when a node's watch has heard of an endpoint. */
  async known(on: number, endpoint: string): Promise<void> {
    await this.#endpoints[on - 1]?.heard(endpoint);
  }

  /** A node's registry has this endpoint from now on. */
  async register(on: number, endpoint: NetworkServiceEndpoint): Promise<void> {
    await this.#endpoints[on - 1]?.register(endpoint);
  }

  /** What a node's registry has of that name. */
  registered(on: number, endpoint: string): NetworkServiceEndpoint | undefined {
    return this.#endpoints[on - 1]?.get(endpoint);
  }

  /** Asks a node's forwarder, as its nsmgr would. */
  async request(
    on: number,
    connection: Connection,
    preferences: readonly Mechanism[] = [],
    signal = new AbortController().signal,
  ): Promise<Connection> {
    const call: Call = { connection, preferences, target: this.node(on).url, signal };
    return this.#client.networkService().request(call);
  }

  async close(on: number, connection: Connection): Promise<void> {
    const { signal } = new AbortController();
    await this.#client.networkService().close({ connection, preferences: [], target: this.node(on).url, signal });
  }

  /** The connections that a node's forwarder tells its watchers of. */
  async watched(on: number): Promise<Connection[]> {
    const { signal } = new AbortController();
    for await (const event of this.#client.monitor(this.node(on).url, { pathSegments: [], networkServices: [] }, signal)) {
      return Object.values(event.connections);
    }
    return [];
  }

  /** From now on the ids of the connection's hops read as `as` (and the hop's number), also in names of devices. */
  name(conn: Connection, as: string): void {
    for (const [i, { id }] of (conn.path?.pathSegments ?? []).entries()) {
      if (i === 0) continue; // the client's own
      this.#names.set(id, `${as}${i}`);
      this.#names.set(deviceName("hash", id).slice("hash-".length), `${as}${i}`);
    }
  }

  /** With the names that were given, and nodes' tunnel addresses and VNIs by the node's number. */
  readable(text: string): string {
    for (const node of this.nodes) node.noteVnis();
    let out = text;
    for (const [id, as] of this.#names) out = out.replaceAll(id, as);
    for (const [i, node] of this.nodes.entries()) {
      const { address, publicKey, device } = node.machine.tunnel(node.subject);
      out = out
        .replaceAll(address, `tunnel${i + 1}`)
        .replaceAll(publicKey, `KEY${i + 1}`)
        .replaceAll(device, `wg${i + 1}`);
      for (const vni of node.vnis) out = out.replaceAll(String(vni), `VNI${i + 1}`);
    }
    return out;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.nodes) await node.stop();
    for (const listening of this.#listening) listening[Symbol.dispose]();
    await this.#client[Symbol.asyncDispose]();
  }
}

function route(address: string) {
  return { prefix: address, nextHop: "" };
}

export interface AskedOptions {
  readonly id?: string;
  readonly service?: string;
  /** The interface. */
  readonly name?: string;
  /** What the user prefers. */
  readonly mechanism?: string;
}

/** A client's first request, from a pod. */
export function asked(pod: Netns, options: AskedOptions = {}): Connection {
  const { id = "client-1", service = "db", name = "", mechanism = "" } = options;
  return Connection.fromPartial({
    id,
    networkService: service,
    mechanism: { cls: "LOCAL", type: "KERNEL", parameters: { inodeURL: `file://${pod.path}`, name } },
    context: { ipContext: {}, extraContext: mechanism === "" ? {} : { [PREFERRED]: mechanism } },
    path: { index: 0, pathSegments: [{ name: "client", id, metrics: {} }] },
  });
}
