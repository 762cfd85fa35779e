import { openMemoryStore } from "../../../registry/memory.js";
import { siteNodes } from "../../../registry/policy/nodes.js";
import { offered } from "../../../registry/policy/offered.js";
import { SitePolicy } from "../../../registry/policy/sitePolicy.js";
import { segmentAddresses } from "../../../registry/segments/addresses.js";
import { openRegistries, type Registries } from "../../../registry/start.js";
import type { Store } from "../../../registry/store.js";
import type { MeshWorld } from "../mesh.js";
import { meshIdentity } from "./identities.js";
import { Mortal } from "./mortal.js";

export const registryUrl = "tcp://registry:5002";

/** The site's registry. What it stores outlives a kill, unless it is started empty. */
export class MeshRegistry implements AsyncDisposable {
  readonly #world: MeshWorld;
  #store: Store;
  #run: { readonly mortal: Mortal; readonly registries: Registries; readonly policy: SitePolicy } | undefined;

  constructor(world: MeshWorld) {
    this.#world = world;
    this.#store = openMemoryStore(world);
  }

  async start(options: { readonly empty?: boolean } = {}): Promise<void> {
    const { clock, log, expirePeriodMs } = this.#world;
    if (options.empty) {
      await this.#store[Symbol.asyncDispose]();
      this.#store = openMemoryStore(this.#world);
    }
    const identity = await meshIdentity(this.#world, "registry");
    const { tokens, prover } = identity;
    const mortal = new Mortal(this.#world, identity);
    const registries = await openRegistries({
      clock,
      log: log.child({ program: "registry" }),
      sinks: this.#world.sinks("registry"),
      store: this.#store,
      tokens,
      prover,
      expirePeriodMs,
    });
    const nodes = () =>
      siteNodes({ store: this.#store, trustDomain: "test", endpoints: registries.endpoints, forwarderService: "forwarder" });
    const { audit } = this.#world;
    const policy = await SitePolicy.open({ store: this.#store, trustDomain: "test", nodes, audit, clock, log });
    const addressing = {
      store: this.#store,
      site: "test",
      registryId: identity.id,
      book: registries.segments,
      federation: undefined,
      clock,
      log,
    };
    mortal.listen(
      [registryUrl],
      offered({ ...registries, ...segmentAddresses(addressing), policy, site: "test", audit, prover, clock }),
      "registry",
    );
    this.#run = { mortal, registries, policy };
  }

  /** The registries themselves, for a look inside. */
  get inside(): Registries {
    if (this.#run === undefined) throw new Error("the registry does not run");
    return this.#run.registries;
  }

  /** Where it keeps everything. */
  get store(): Store {
    return this.#store;
  }

  /** The site's policy, as its administrator has it. */
  get policy(): SitePolicy {
    if (this.#run === undefined) throw new Error("the registry does not run");
    return this.#run.policy;
  }

  async kill(): Promise<void> {
    await this.#run?.mortal.kill();
    await this.#run?.policy[Symbol.asyncDispose]();
    await this.#run?.registries[Symbol.asyncDispose]();
    this.#run = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await this.#store[Symbol.asyncDispose]();
  }
}
