import type { NetworkService, NetworkServiceEndpoint } from "../../../../api/gen/registry/registry.js";
import { silent } from "../../../../core/log.js";
import { Identity } from "../../../../identity/identity.js";
import { type FederatedSite, openFederatedSite } from "../../../../registry/federation/open.js";
import type { Site } from "../../../../registry/federation/site.js";
import { openMemoryStore } from "../../../../registry/memory.js";
import { offered } from "../../../../registry/policy/offered.js";
import { SitePolicy } from "../../../../registry/policy/sitePolicy.js";
import { segmentAddresses } from "../../../../registry/segments/addresses.js";
import type { SegmentBook } from "../../../../registry/segments/book.js";
import { openRegistries, type Registries } from "../../../../registry/start.js";
import type { Store } from "../../../../registry/store.js";
import { MemoryNetwork } from "../../../../rpc/memory.js";
import type { Found, Registry, RegistryContext } from "../../../../rpc/registry.js";
import type { Services } from "../../../../rpc/services.js";
import { authority, identified, type Made } from "../../../lib/certificates.js";
import { FakeClock } from "../../../lib/fakeClock.js";
import { GivenSource } from "../../../lib/identities.js";
import { MemoryAudit } from "../../../lib/mesh/audit.js";
import { by, service, serving } from "../site.js";

export const forever = new AbortController().signal;

/** Sites in this process, each with an authority, a store and a registry of its own. Time stands still until `until` moves it. */
export class Sites implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly network = new MemoryNetwork();
  readonly all: TestSite[] = [];

  static async open(...names: readonly string[]): Promise<Sites> {
    const sites = new Sites();
    for (const name of names) await sites.add({ name });
    return sites;
  }

  async add(parts: { readonly name: string; readonly trustDomain?: string; readonly exports?: readonly string[] }): Promise<TestSite> {
    const site = await TestSite.open(this, parts);
    this.all.push(site);
    return site;
  }

  /** The sites in the order in which they were named. */
  get(at: number): TestSite {
    const site = this.all[at];
    if (site === undefined) throw new Error(`there is no site ${at}`);
    return site;
  }

  /** Joins every two, and waits until they have reached one another. */
  async joinAll(): Promise<void> {
    for (const [at, site] of this.all.entries()) for (const other of this.all.slice(0, at)) await site.join(await other.invite());
    await this.until("all sites have reached one another", 2_000, () =>
      this.all.every((site) => site.states().every((state) => state.endsWith("up"))),
    );
  }

  /** Moves time on until `look` gives something; resolves to the milliseconds that it took, and fails after `withinMs` of them. */
  async until(what: string, withinMs: number, look: () => boolean | Promise<boolean>): Promise<number> {
    const start = this.clock.now();
    while (!(await look())) {
      if (this.clock.now() - start >= withinMs) throw new Error(`not within ${withinMs} ms: ${what}`);
      // Signing runs beside the event loop: a moment of real time for it.
      await new Promise((resolve) => setTimeout(resolve, 1));
      await this.clock.advance(10);
    }
    return this.clock.now() - start;
  }

  /** Settles while time moves on. */
  async while<T>(task: Promise<T>): Promise<T> {
    let over = false;
    const done = task.finally(() => {
      over = true;
    });
    done.catch(() => {});
    await this.until("a call is over", 10_000, () => over);
    return await done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const site of this.all) await site[Symbol.asyncDispose]();
  }
}

export class TestSite implements AsyncDisposable {
  readonly name: string;
  readonly trustDomain: string;
  readonly url: string;
  readonly store: Store;
  identity!: Identity;
  federated!: FederatedSite;
  policy!: SitePolicy;
  readonly audit: MemoryAudit;
  /** How many watches run on its own registries, by other sites. */
  watches = 0;
  /** How many segments of each other it takes part in. */
  segmentsPerSite = 64;
  /** What it says of its authorities. */
  bundle: Site["bundle"];
  readonly #world: Sites;
  readonly #by: Made;
  #exports: readonly string[];
  #source!: GivenSource;
  #registries!: Registries;
  #listening: Disposable | undefined;

  private constructor(
    world: Sites,
    by: Made,
    parts: { readonly name: string; readonly trustDomain?: string; readonly exports?: readonly string[] },
  ) {
    this.#world = world;
    this.#by = by;
    this.name = parts.name;
    this.trustDomain = parts.trustDomain ?? `${parts.name}.test`;
    this.url = `tcp://${this.name}.${this.trustDomain}:5002`;
    this.bundle = [by.certificate];
    this.audit = new MemoryAudit(world.clock);
    this.#exports = parts.exports ?? ["*"];
    this.store = openMemoryStore({ clock: world.clock, log: silent });
  }

  static async open(world: Sites, parts: { readonly name: string; readonly trustDomain?: string; readonly exports?: readonly string[] }) {
    const site = new TestSite(world, await authority(world.clock.now()), parts);
    await site.start();
    return site;
  }

  get registryId(): string {
    return `spiffe://${this.trustDomain}/registry`;
  }

  /** Another program of the site, which trusts whom its registry trusts. */
  async identityOf(path: string): Promise<Identity> {
    const { svid } = await identified(this.#by, `spiffe://${this.trustDomain}/${path}`, this.#world.clock.now());
    const source = new GivenSource({ svid, bundles: this.#source.bundles });
    return new Identity({ source, clock: this.#world.clock, tokenLifetimeMs: 600_000 });
  }

  /** Starts the registry; what was joined is in its store. */
  async start({ exports = this.#exports }: { readonly exports?: readonly string[] } = {}): Promise<void> {
    this.#exports = exports;
    const { clock, network } = this.#world;
    const own = await identified(this.#by, this.registryId, clock.now(), 86_400_000);
    this.#source = new GivenSource(own);
    const identity = new Identity({ source: this.#source, clock, tokenLifetimeMs: 600_000 });
    this.identity = identity;
    const { tokens, prover } = identity;
    this.#registries = await openRegistries({ clock, log: silent, store: this.store, tokens, prover, expirePeriodMs: 3_600_000 });
    const parts = { clock, log: silent, store: this.store, trustDomain: this.trustDomain };
    this.policy = await SitePolicy.open({ ...parts, nodes: async () => [], audit: this.audit });
    this.federated = await openFederatedSite({
      ...{
        name: this.name,
        trustDomain: this.trustDomain,
        exports: this.#exports,
        segmentsPerSite: this.segmentsPerSite,
        home: ["forwarder"],
      },
      ...{ clock, log: silent, store: this.store, random: () => 0.5 },
      policySettled: (revision) => this.policy.settled(revision),
      ...{ registryId: this.registryId, segments: this.#registries.segments },
      services: this.#counted(this.#registries.services),
      endpoints: this.#counted(this.#registries.endpoints),
      own: () => this.says(),
      dial: ({ name, registryId }) =>
        network.peers({ identity, clock, expect: () => ({ matches: (id) => id === registryId, what: `the registry of ${name}` }) }),
      ask: ({ url }, request) =>
        this.#world.all.find((site) => site.url === url)?.federated.api.join(request) ?? Promise.reject(new Error(url)),
      trust: (sites) =>
        this.#source.set({
          svid: own.svid,
          bundles: new Map([...sites.map(({ trustDomain, bundle }) => [trustDomain, bundle] as const), [this.trustDomain, this.bundle]]),
        }),
    });
    this.answer();
  }

  get segments(): SegmentBook {
    return this.#registries.segments;
  }

  says(): Site {
    return { name: this.name, trustDomain: this.trustDomain, registryId: this.registryId, urls: [this.url], bundle: this.bundle };
  }

  /** Cut off from everybody, or there again. */
  cut(): void {
    this.#listening?.[Symbol.dispose]();
    this.#listening = undefined;
  }

  /** `instead` takes the place of what it would offer. */
  answer(instead: Partial<Services> = {}): void {
    const { services, endpoints, api: federation } = this.federated;
    const { policy, audit, identity, store, name } = this;
    const { segments } = this.#registries;
    const { clock } = this.#world;
    const shown = offered({
      ...segmentAddresses({
        store,
        site: name,
        registryId: this.registryId,
        book: segments,
        federation: this.federated.federation,
        clock,
        log: silent,
      }),
      segments,
      services,
      endpoints,
      federation,
      policy,
      site: this.name,
      audit,
      prover: identity.prover,
      clock: this.#world.clock,
    });
    this.#listening = this.#world.network.listen(this.url, { ...shown, ...instead }, this.name, identity);
  }

  async stop(): Promise<void> {
    this.cut();
    await this.federated[Symbol.asyncDispose]();
    await this.policy[Symbol.asyncDispose]();
    await this.#registries[Symbol.asyncDispose]();
  }

  async invite(lifetimeMs = 60_000): Promise<string> {
    return (await this.federated.admin.inviteSite({ lifetimeMs }, forever)).token;
  }

  async join(token: string): Promise<void> {
    await this.federated.admin.joinSite({ token }, forever);
  }

  leave(name: string): Promise<void> {
    return this.federated.admin.leaveSite({ name }, forever);
  }

  /** `tokyo up`. */
  states(): string[] {
    return this.federated.federation.peers.map(({ site, state }) => `${site.name} ${state}`);
  }

  /** Serves in this site. */
  serve(name: string, ...services: readonly string[]): Promise<void> {
    return this.serveAt("tcp://10.0.0.1:5001", name, ...services);
  }

  async serveAt(url: string, name: string, ...services: readonly string[]): Promise<void> {
    for (const one of services) await this.#registries.services.register(service(one, { payload: "IP" }), { signal: forever });
    const [first = ""] = services;
    await this.#registries.endpoints.register(
      { ...serving(name, first, { color: "red" }), url, networkServiceNames: [...services] },
      { signal: forever },
    );
  }

  /** What the program with that SPIFFE id registers, as it does by its nsmgr. */
  async serveLabelled(name: string, service: string, labels: Record<string, string>, id: string): Promise<void> {
    await this.#registries.endpoints.register(serving(name, service, labels), { ...by(id), signal: forever });
  }

  unserve(name: string): Promise<void> {
    return this.#registries.endpoints.unregister(serving(name, ""), { signal: forever });
  }

  /** What is found here of a service: `name url`, with `?` behind what is stale. */
  async find(name: string): Promise<string[]> {
    const found = await this.#world.while(all(this.federated.endpoints, [name]));
    return found.map((endpoint) => `${endpoint.name}${isMarked(endpoint) ? "?" : ""}`).sort();
  }

  async services(name: string): Promise<string[]> {
    const found: NetworkService[] = [];
    const read = async () => {
      for await (const { value } of this.federated.services.find(service(name), { watch: false }, { signal: forever })) found.push(value);
    };
    await this.#world.while(read());
    return found.map((one) => one.name).sort();
  }

  /** Watches until disposed: what it shows at the time. */
  watch(
    ...services: readonly string[]
  ): { readonly shown: Map<string, NetworkServiceEndpoint>; readonly reading: Promise<void> } & AsyncDisposable {
    const shown = new Map<string, NetworkServiceEndpoint>();
    const stop = new AbortController();
    const query = { ...serving("", ""), url: "", networkServiceLabels: {}, networkServiceNames: [...services] };
    const read = async () => {
      for await (const { value, deleted } of this.federated.endpoints.find(query, { watch: true }, { signal: stop.signal })) {
        if (deleted) shown.delete(value.name);
        else shown.set(value.name, value);
      }
    };
    const reading = read();
    reading.catch(() => {});
    return {
      ...{ shown, reading },
      async [Symbol.asyncDispose]() {
        stop.abort();
        await reading.catch(() => {});
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.store[Symbol.asyncDispose]();
  }

  #counted<T>(registry: Registry<T>): Registry<T> {
    const site = this;
    return {
      register: (value, context) => registry.register(value, context),
      unregister: (value, context) => registry.unregister(value, context),
      async *find(query, options, context: RegistryContext): AsyncGenerator<Found<T>> {
        const counts = options.watch && context.link !== undefined;
        if (counts) site.watches += 1;
        try {
          yield* registry.find(query, options, context);
        } finally {
          if (counts) site.watches -= 1;
        }
      },
    };
  }
}

/** The names that a watch shows, with `?` behind what is stale. */
export function namesIn({ shown }: { readonly shown: ReadonlyMap<string, NetworkServiceEndpoint> }): string[] {
  return [...shown.values()].map((endpoint) => `${endpoint.name}${isMarked(endpoint) ? "?" : ""}`).sort();
}

function isMarked({ networkServiceLabels }: NetworkServiceEndpoint): boolean {
  return Object.values(networkServiceLabels).some(({ labels }) => labels["isthmus.stale"] === "true");
}

async function all(registry: Registry<NetworkServiceEndpoint>, networkServiceNames: string[]): Promise<NetworkServiceEndpoint[]> {
  const found: NetworkServiceEndpoint[] = [];
  const query = { ...serving("", ""), url: "", networkServiceLabels: {}, networkServiceNames };
  for await (const { value } of registry.find(query, { watch: false }, { signal: forever })) found.push(value);
  return found;
}
