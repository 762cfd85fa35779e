import { Connection, type ConnectionEvent, type MonitorScopeSelector } from "../../api/gen/connection/connection.js";
import { clientChain, serverChain } from "../../core/assembly.js";
import { type Begin, begin } from "../../core/begin.js";
import type { Call, Element, Handler } from "../../core/chain.js";
import type { Clock } from "../../core/clock.js";
import { discover } from "../../core/discover.js";
import { asMeshError, MeshError } from "../../core/error.js";
import { follow } from "../../core/follow.js";
import { discoverForwarder } from "../../core/forwarders.js";
import { heal } from "../../core/heal.js";
import { type Lease, type LeaseStore, pointToPointIpam } from "../../core/ipam/pointToPoint.js";
import { listenAlone } from "../../core/listen.js";
import { silent } from "../../core/log.js";
import { Monitor } from "../../core/monitor.js";
import { refresh } from "../../core/refresh.js";
import { type Timeout, timeout } from "../../core/timeout.js";
import { callOf, connection, endpoint, failOnce, holder, ListedDirectory, service, tokensOf, unending } from "./chainKit.js";
import { FakeClock } from "./fakeClock.js";

export const lifetimeMs = 60_000;

/** The clock of one run of a program: what the run waits for dies with it. */
class RunClock implements Clock {
  readonly #clock: Clock;
  readonly #timers = new Set<Disposable>();
  #dead = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  monotonic(): number {
    return this.#clock.monotonic();
  }

  after(ms: number, task: () => void): Disposable {
    if (this.#dead) return { [Symbol.dispose]: () => {} };
    const inner = this.#clock.after(ms, () => {
      this.#timers.delete(timer);
      task();
    });
    const timer: Disposable = {
      [Symbol.dispose]: () => {
        this.#timers.delete(timer);
        inner[Symbol.dispose]();
      },
    };
    this.#timers.add(timer);
    return timer;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = this.after(ms, resolve);
      const ended = () => {
        timer[Symbol.dispose]();
        reject(signal.reason);
      };
      if (signal.aborted) ended();
      else signal.addEventListener("abort", ended, { once: true });
    });
  }

  kill(): void {
    this.#dead = true;
    for (const timer of [...this.#timers]) timer[Symbol.dispose]();
  }
}

/** One program of the chain. What `kernel` holds outlives a restart, all else is forgotten. */
export class Hop {
  readonly name: string;
  readonly url: string;
  readonly kernel = holder("kernel");
  readonly failsIn = failOnce("in");
  readonly failsBack = failOnce("back");
  /** Called when a request is inside, with what is behind done already. */
  onAnswer: (call: Call) => Promise<void> = async () => {};
  begun!: Begin;
  monitor!: Monitor;
  timer!: Timeout;
  handler!: Handler;
  clock!: Clock & { kill(): void };
  life!: AbortController;
  readonly #start: (hop: Hop) => { elements: readonly Element[]; tail: Handler };
  readonly #clock: FakeClock;

  constructor(name: string, clock: FakeClock, start: (hop: Hop) => { elements: readonly Element[]; tail: Handler }) {
    this.name = name;
    this.url = `tcp://${name}`;
    this.#clock = clock;
    this.#start = start;
    this.restart();
  }

  /** Forgets everything but the kernel, as a kill -9 does; streams to it break. */
  restart(): void {
    this.clock?.kill();
    this.life?.abort();
    this.life = new AbortController();
    const clock = new RunClock(this.#clock);
    this.clock = clock;
    this.monitor = new Monitor();
    this.begun = begin({ log: silent });
    this.timer = timeout({ clock, log: silent, end: (id, due) => this.begun.end(id, undefined, due) });
    const { elements, tail } = this.#start(this);
    const late: Element = {
      name: "late",
      request: async (call, next) => {
        const conn = await next.request(call);
        await this.onAnswer(call);
        return conn;
      },
    };
    this.handler = serverChain({
      ...{ name: this.name, tokens: tokensOf(this.name, clock, lifetimeMs), clock, log: silent },
      ...{ monitor: this.monitor, begin: this.begun, timeout: this.timer },
      elements: [late, this.failsBack, this.kernel, this.failsIn, ...elements],
      tail,
    });
  }
}

/** What the endpoint gave; outlives a restart. */
class Leases implements LeaseStore {
  readonly disk = new Map<string, Lease>();
  async load(): Promise<Lease[]> {
    return [...this.disk.values()];
  }
  async put(lease: Lease): Promise<void> {
    this.disk.set(lease.id, lease);
  }
  async remove(id: string): Promise<void> {
    this.disk.delete(id);
  }
}

/** Two nodes and a client on the first, all in this process: client, nsmgr-1, forwarder-1, nsmgr-2, forwarder-2, and two endpoints on node 2. */
export class Hops {
  readonly clock = new FakeClock();
  readonly directory = new ListedDirectory();
  readonly leases: Record<string, Leases> = {};
  readonly hops = new Map<string, Hop>();
  /** Programs that do not answer. */
  readonly dead = new Set<string>();
  readonly client: { readonly handler: Handler; readonly begun: Begin };
  readonly gone: string[] = [];

  constructor() {
    this.directory.services.push(service("intranet"));
    for (const node of [1, 2]) this.#node(node);
    for (const name of ["nse-1", "nse-2"]) this.#endpoint(name);
    this.client = this.#client();
  }

  hop(name: string): Hop {
    const hop = this.hops.get(name);
    if (hop === undefined) throw new Error(`there is no hop ${name}`);
    return hop;
  }

  /** Programs that do not answer until `start`, and have forgotten everything then. */
  kill(...names: string[]): void {
    for (const name of names) {
      this.dead.add(name);
      this.hop(name).restart();
    }
  }

  start(...names: string[]): void {
    for (const name of names) this.dead.delete(name);
  }

  request(signal: AbortSignal = unending, part: Partial<Connection> = {}): Promise<Connection> {
    return this.client.handler.request(callOf(connection({ id: "c1", ...part }), { signal }));
  }

  /** What any program still has of anything: `forwarder-1 holds 1`. Empty when all is undone. */
  get left(): string[] {
    const lines: string[] = [];
    for (const { name, kernel, begun, monitor } of this.hops.values()) {
      if (kernel.held.size > 0) lines.push(`${name} holds ${kernel.held.size}`);
      if (begun.list().length > 0) lines.push(`${name} knows ${begun.list().length}`);
      if (monitor.list().length > 0) lines.push(`${name} shows ${monitor.list().length}`);
    }
    for (const [name, { disk }] of Object.entries(this.leases)) if (disk.size > 0) lines.push(`${name} leases ${disk.size}`);
    return lines;
  }

  /** How many each kernel holds, in order of the path: `1 1 1 1 1`. */
  held(...names: string[]): string {
    return names.map((name) => this.hop(name).kernel.held.size).join(" ");
  }

  #node(node: number): void {
    const nsmgr = `nsmgr-${node}`;
    const forwarder = `forwarder-${node}`;
    const local = new ListedDirectory();
    local.services.push(...this.directory.services);
    local.endpoints.push(endpoint(forwarder, ["forwarder"], { p2p: "true" }));
    this.#add(nsmgr, (hop) => ({
      elements: [
        discoverForwarder({ directory: local, serviceName: "forwarder", ownUrls: () => [`tcp://${forwarder}`], log: silent }),
        this.#follow(hop),
      ],
      tail: this.#dial(hop.name),
    }));
    this.#add(forwarder, (hop) => {
      const tail = this.#dial(hop.name);
      // The far nsmgr's url is where node 1 finds the endpoints; on node 2 they are found where they are.
      const directory = node === 2 ? this.directory : new Elsewhere(this.directory, "tcp://nsmgr-2");
      const parts = { clock: this.clock, log: silent, random: () => 0.5, load: () => 0, locality: async () => () => 0 };
      return { elements: [discover({ directory, tail, ...parts }), this.#follow(hop)], tail };
    });
  }

  #endpoint(name: string): void {
    const leases = new Leases();
    this.leases[name] = leases;
    this.directory.endpoints.push(endpoint(name, ["intranet"]));
    this.#add(name, () => ({
      elements: [pointToPointIpam({ cidrs: ["172.16.1.0/24"], leases })],
      tail: { request: async (call) => call.connection, close: async () => {} },
    }));
  }

  #client(): { readonly handler: Handler; readonly begun: Begin } {
    const begun = begin({ log: silent });
    const { clock } = this;
    const near = this.hop("nsmgr-1");
    const dial = this.#dial("client");
    const toNear: Handler = {
      request: (call) => dial.request({ ...call, target: near.url }),
      close: (call) => dial.close({ ...call, target: near.url }),
    };
    const handler = clientChain({
      ...{ name: "client", tokens: tokensOf("client", clock, lifetimeMs), log: silent, begin: begun },
      refresh: refresh({ clock, log: silent, again: (id) => begun.again(id) }),
      heal: heal({
        ...{ clock, log: silent, random: () => 1 },
        listen: (own, listener) => near.monitor.listen(own, listener),
        again: (id, change, signal) => begun.again(id, change, signal),
        gone: (id) => this.gone.push(id),
      }),
      elements: [],
      tail: toNear,
    });
    return { handler, begun };
  }

  #add(name: string, start: (hop: Hop) => { elements: readonly Element[]; tail: Handler }): void {
    this.hops.set(name, new Hop(name, this.clock, start));
  }

  #follow({ monitor, clock }: Hop): Element {
    return follow({ listen: listenAlone((url, selector, signal) => this.#watch(url, selector, signal)), monitor, clock, log: silent });
  }

  async *#watch(url: string, selector: MonitorScopeSelector, signal: AbortSignal): AsyncGenerator<ConnectionEvent> {
    const { monitor, life } = this.#answering(url);
    yield* monitor.watch(selector, AbortSignal.any([signal, life.signal]));
    if (!signal.aborted) throw new MeshError("unreachable", `${url} broke the stream`);
  }

  #answering(url: string): Hop {
    const hop = this.hops.get(url.slice("tcp://".length));
    if (hop === undefined || this.dead.has(hop.name)) throw new MeshError("unreachable", `${url} does not answer`);
    return hop;
  }

  /** A transport: what crosses is encoded, errors get a hop, and a caller that gives up does not wait for the other side. */
  #dial(name: string): Handler {
    const tokens = tokensOf(name, this.clock, lifetimeMs);
    const cross = async <T>(call: Call, run: (handler: Handler, inner: Call) => Promise<T>): Promise<T> => {
      if (call.target === undefined) throw new MeshError("internal", "nobody chose the next hop");
      const hop = this.#answering(call.target);
      const inner = { ...copied(call), caller: await tokens(), target: undefined, established: undefined };
      const answered = run(hop.handler, inner).catch((error: unknown) => {
        const { code, message, hop: at } = asMeshError(error);
        throw new MeshError(code, message, { cause: error, hop: at ?? hop.name });
      });
      return raced(answered, call.signal);
    };
    return {
      request: async (call) => copy(await cross(call, (handler, inner) => handler.request(inner))),
      close: (call) => (call.target === undefined ? Promise.resolve() : cross(call, (handler, inner) => handler.close(inner))),
    };
  }
}

class Elsewhere extends ListedDirectory {
  readonly #real: ListedDirectory;
  readonly #url: string;

  constructor(real: ListedDirectory, url: string) {
    super();
    this.#real = real;
    this.#url = url;
  }

  override serviceNames() {
    return this.#real.serviceNames();
  }

  override service(name: string) {
    return this.#real.service(name);
  }

  override async endpointsOf(name: string) {
    return (await this.#real.endpointsOf(name)).map((each) => ({ ...each, url: this.#url }));
  }

  override async endpoint(name: string) {
    const found = await this.#real.endpoint(name);
    return found && { ...found, url: this.#url };
  }
}

function copy(conn: Connection): Connection {
  return Connection.decode(Connection.encode(conn).finish());
}

function copied(call: Call): Call {
  return { ...call, connection: copy(call.connection) };
}

function raced<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  answer.catch(() => {}); // where the caller has given up, nobody looks
  return new Promise((resolve, reject) => {
    const gaveUp = () => reject(asMeshError(signal.reason));
    if (signal.aborted) return gaveUp();
    signal.addEventListener("abort", gaveUp, { once: true });
    void answer.then(resolve, reject).finally(() => signal.removeEventListener("abort", gaveUp));
  });
}
