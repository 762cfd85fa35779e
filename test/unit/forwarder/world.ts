import { Connection, type Mechanism } from "../../../api/gen/connection/connection.js";
import type { NetworkService, NetworkServiceEndpoint } from "../../../api/gen/registry/registry.js";
import { type Call, chain, type Handler } from "../../../core/chain.js";
import { withContext, withIpContext } from "../../../core/context.js";
import { MeshError } from "../../../core/error.js";
import { silent } from "../../../core/log.js";
import { updatePath } from "../../../core/path.js";
import { updateToken } from "../../../core/token.js";
import type { Forwarder } from "../../../forwarder/forwarder.js";
import { startForwarder } from "../../../forwarder/forwarder.js";
import type { Pods } from "../../../forwarder/pods.js";
import { tunnelNode } from "../../../forwarder/tunnel/node.js";
import { createTokenSource, generateKey } from "../../../identity/token.js";
import { FakeMachine } from "../../../kernel/fake/machine.js";
import { FakeKernel } from "../../../kernel/fake.js";
import type { Netns } from "../../../kernel/model.js";
import { deviceName } from "../../../kernel/names.js";
import { systemClock } from "../../../program/clock.js";
import { MemoryNetwork } from "../../../rpc/memory.js";
import type { PeerSet } from "../../../rpc/peers.js";
import type { Found, Registry } from "../../../rpc/registry.js";
import { Disk } from "../../lib/mesh/disk.js";

const lifetimeMs = 600_000;

function tokensOf(subject: string) {
  return createTokenSource({ subject, key: generateKey(), lifetimeMs, clock: systemClock });
}

/** A registry without life: what was put in is found, and a watch hears nothing more. */
class StaticRegistry<T extends { name: string }> implements Registry<T> {
  readonly values = new Map<string, T>();
  readonly #matches: (query: T, value: T) => boolean;

  constructor(matches: (query: T, value: T) => boolean) {
    this.#matches = matches;
  }

  async register(value: T): Promise<T> {
    this.values.set(value.name, value);
    return value;
  }

  async unregister(value: T): Promise<void> {
    this.values.delete(value.name);
  }

  async *find(query: T, options: { readonly watch: boolean }, { signal }: { readonly signal: AbortSignal }): AsyncIterable<Found<T>> {
    for (const value of this.values.values()) if (this.#matches(query, value)) yield { value, deleted: false };
    if (options.watch && !signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  }
}

/** One node: a pretended machine, and a forwarder that can be stopped and started again. */
export class Node {
  readonly machine = new FakeMachine();
  readonly disk = new Disk();
  kernel = new FakeKernel(this.machine);
  readonly url: string;
  readonly pods = new FakePods(this.machine);
  /** Whether packets reach the other nodes. */
  reachable = true;
  /** Whether pings are answered. */
  answers = true;
  pathMtu = 1440;
  readonly announced: string[] = [];
  readonly #world: World;
  readonly #number: number;
  #forwarder: Forwarder | undefined;

  constructor(world: World, number: number) {
    this.#world = world;
    this.#number = number;
    this.url = `unix:///run/node-${number}/forwarder.sock`;
  }

  async start(options: { readonly allowPlain?: boolean } = {}): Promise<void> {
    const { network } = this.#world;
    const subject = `spiffe://test/node-${this.#number}/forwarder`;
    const tokens = tokensOf(subject);
    const underlay = { ip: `192.0.2.${this.#number}`, mtu: 1500 };
    const publicKey = `${String.fromCharCode(64 + this.#number).repeat(43)}=`;
    this.kernel = new FakeKernel(this.machine);
    this.#forwarder = await startForwarder({
      kernel: this.kernel,
      pods: this.pods,
      tunnel: tunnelNode({ subject, keyFile: "/keys/node", publicKey: publicKey.replace(/.=$/, "A="), listenPort: 51820, underlay }),
      underlay,
      link: {
        status: async (device) =>
          this.machine.objects().flatMap((object) => {
            if (object.kind !== "wireguard-peer" || object.device !== device || !this.reachable) return [];
            return [{ publicKey: object.publicKey, lastHandshake: systemClock.now(), rxBytes: 1, txBytes: 1 }];
          }),
        pathMtu: async () => this.pathMtu,
      },
      keys: { publicKey: () => `${"K".repeat(42)}A=`, file: (id) => `/keys/${id}`, write: () => {}, remove: () => {} },
      ping: async () => this.answers,
      announce: ({ name }, addresses) => void this.announced.push(`${name} ${addresses.join(" ")}`),
      store: this.disk,
      tokens,
      peers: network.peers({ tokens }),
      listen: async (urls, services) => {
        // The second URL is what other nodes dial: nsmgr would stand there.
        const listening = [...urls, `tcp://node-${this.#number}:5001`].map((url) => network.listen(url, services, `forwarder-${this.#number}`));
        return { urls, [Symbol.asyncDispose]: async () => listening.forEach((one) => void one[Symbol.dispose]()) };
      },
      random: () => 0,
      clock: systemClock,
      log: silent,
      config: {
        name: `forwarder-${this.#number}`,
        site: "test",
        node: `node-${this.#number}`,
        connectTo: `unix:///run/node-${this.#number}/nsmgr.sock`,
        listenOn: [this.url],
        service: "forwarder",
        labels: { p2p: "true" },
        allowPlain: options.allowPlain ?? false,
        vxlanPort: 4789,
        wireguardPorts: { first: 51821, last: 51822 },
        tokenLifetimeMs: lifetimeMs,
      },
    });
  }

  get forwarder(): Forwarder {
    if (this.#forwarder === undefined) throw new Error("the forwarder does not run");
    return this.#forwarder;
  }

  async stop(): Promise<void> {
    await this.#forwarder?.[Symbol.asyncDispose]();
    this.#forwarder = undefined;
  }

  /** What the kernel has, without the node tunnel, with ids and hashes as short names. */
  text(): string {
    return this.#world.readable(
      this.kernel
        .text()
        .split("\n")
        .filter((line) => !/\bisw-|\bMESH$/.test(line))
        .join("\n"),
    );
  }

  /** The node tunnel's own lines. */
  tunnelText(): string {
    const lines = this.kernel.text().split("\n");
    return this.#world.readable(lines.filter((line) => /\bisw-/.test(line)).join("\n"));
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

  interfaces(pod: Netns): readonly string[] {
    const ours = this.#machine.objects().flatMap((object) => (object.kind === "port" && object.pod.cookie === pod.cookie ? [object.podInterface] : []));
    return ["lo", "eth0", ...ours];
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

/** A few nodes that share a registry, clients and endpoints, in one process and without a kernel. */
export class World implements AsyncDisposable {
  readonly network = new MemoryNetwork();
  readonly nodes: readonly Node[];
  readonly closed: string[] = [];
  readonly #client: PeerSet;
  readonly #services = new StaticRegistry<NetworkService>((query, { name }) => query.name === "" || query.name === name);
  readonly #endpoints: StaticRegistry<NetworkServiceEndpoint>[] = [];
  readonly #names = new Map<string, string>();
  #listening: Disposable[] = [];

  private constructor(nodes: number) {
    this.nodes = Array.from({ length: nodes }, (_, i) => new Node(this, i + 1));
    this.#client = this.network.peers({ tokens: tokensOf("spiffe://test/client") });
    for (let i = 1; i <= nodes; i++) {
      const endpoints = new StaticRegistry<NetworkServiceEndpoint>(
        (query, value) =>
          (query.name === "" || query.name === value.name) && query.networkServiceNames.every((name) => value.networkServiceNames.includes(name)),
      );
      this.#endpoints.push(endpoints);
      this.#listening.push(this.network.listen(`unix:///run/node-${i}/nsmgr.sock`, { services: this.#services, endpoints }));
    }
  }

  static async start(nodes = 1, options: { readonly allowPlain?: boolean } = {}): Promise<World> {
    const world = new World(nodes);
    for (const node of world.nodes) await node.start(options);
    return world;
  }

  node(number: number): Node {
    const node = this.nodes[number - 1];
    if (node === undefined) throw new Error(`there is no node ${number}`);
    return node;
  }

  /** An endpoint of `service` on a node, in a pod of its own. Its addresses are always the same ones. */
  async serve(on: number, pod: Netns, options: EndpointOptions = {}): Promise<Disposable> {
    const { name = "nse", service = "db", payload = "IP", src = ["172.16.1.1/32"], dst = ["172.16.1.0/32"], change = (conn) => conn } = options;
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
    const handler = chain([updatePath(name), updateToken(tokensOf(`spiffe://test/${name}`))], answer);
    const listening = this.network.listen(url, { networkService: handler }, name);
    this.#listening.push(listening);
    await this.#services.register({ name: service, payload, matches: [], pathIds: [] });
    for (const [i, registry] of this.#endpoints.entries()) {
      await registry.register({
        ...{ name, networkServiceNames: [service], networkServiceLabels: {}, expirationTime: undefined, initialRegistrationTime: undefined },
        ...{ url: i + 1 === on ? url : `tcp://node-${on}:5001`, pathIds: [] },
      });
    }
    return listening;
  }

  async unserve(name: string): Promise<void> {
    for (const registry of this.#endpoints) registry.values.delete(name);
  }

  /** Asks a node's forwarder, as its nsmgr would. */
  async request(on: number, connection: Connection, preferences: readonly Mechanism[] = [], signal = new AbortController().signal): Promise<Connection> {
    const call: Call = { connection, preferences, target: this.node(on).url, signal };
    return this.#client.networkService().request(call);
  }

  async close(on: number, connection: Connection): Promise<void> {
    const { signal } = new AbortController();
    await this.#client.networkService().close({ connection, preferences: [], target: this.node(on).url, signal });
  }

  /** From now on the ids of the connection's hops read as `as` (and the hop's number), also in names of devices. */
  name(conn: Connection, as: string): void {
    for (const [i, { id }] of (conn.path?.pathSegments ?? []).entries()) {
      this.#names.set(id, `${as}${i}`);
      this.#names.set(deviceName("hash", id).slice("hash-".length), `${as}${i}`);
    }
  }

  readable(text: string): string {
    let out = text;
    for (const [id, as] of this.#names) out = out.replaceAll(id, as);
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

/** A client's first request, from a pod. */
export function asked(pod: Netns, options: { readonly id?: string; readonly service?: string; readonly name?: string } = {}): Connection {
  const { id = "client-1", service = "db", name = "" } = options;
  return Connection.fromPartial({
    id,
    networkService: service,
    payload: "IP",
    mechanism: { cls: "LOCAL", type: "KERNEL", parameters: { inodeURL: `file://${pod.path}`, name } },
    context: { ipContext: {}, extraContext: {} },
    path: { index: 0, pathSegments: [{ name: "client", id, metrics: {} }] },
  });
}
