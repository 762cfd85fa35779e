import { type Log, silent } from "../../core/log.js";
import { noSinks, type Sinks } from "../../core/observed.js";
import type { Identity } from "../../identity/identity.js";
import { MemoryNetwork } from "../../rpc/memory.js";
import type { PeerSet } from "../../rpc/peers.js";
import { FakeClock } from "./fakeClock.js";
import { MemoryAudit } from "./mesh/audit.js";
import { meshIdentity } from "./mesh/identities.js";
import { FakeNamespaces } from "./mesh/namespaces.js";
import { MeshNode } from "./mesh/node.js";
import { MeshRegistry } from "./mesh/registry.js";

export interface MeshOptions {
  readonly nodes?: number | undefined;
  /** How long tokens are good for; 10 minutes unless given. */
  readonly tokenLifetimeMs?: number | undefined;
  /** The longest life of an endpoint that is not registered again; a minute unless given. */
  readonly expirePeriodMs?: number | undefined;
  readonly log?: Log | undefined;
  /** What each program tells besides its log; nothing unless given. */
  readonly sinks?: ((program: string) => Sinks) | undefined;
  /** The site of each node, from the first one on; "test" where none is given. */
  readonly sites?: readonly string[] | undefined;
}

/** What the parts of a mesh share. */
export interface MeshWorld {
  readonly network: MemoryNetwork;
  readonly namespaces: FakeNamespaces;
  readonly clock: FakeClock;
  readonly log: Log;
  readonly sinks: (program: string) => Sinks;
  /** All programs write to one. */
  readonly audit: MemoryAudit;
  readonly tokenLifetimeMs: number;
  readonly expirePeriodMs: number;
  readonly siteOf: (nodeName: string) => string;
}

/**
 * A whole mesh in this process, over the in-memory transport: a registry, and per node an nsmgr and a forwarder without a kernel.
 * Each program can be killed (nothing of it runs on) and started again with what it had on disk. Time stands still until `until` moves it.
 */
export class Mesh implements AsyncDisposable {
  readonly world: MeshWorld;
  readonly registry: MeshRegistry;
  readonly nodes: readonly MeshNode[];
  /** A client from outside. */
  readonly client: PeerSet;

  private constructor(world: MeshWorld, nodes: number, identity: Identity) {
    this.world = world;
    this.registry = new MeshRegistry(world);
    this.nodes = Array.from({ length: nodes }, (_, i) => new MeshNode(world, i + 1));
    this.client = world.network.peers({ identity, clock: world.clock });
  }

  static async start(options: MeshOptions = {}): Promise<Mesh> {
    const { nodes = 1, tokenLifetimeMs = 600_000, expirePeriodMs = 60_000, log = silent, sinks = () => noSinks, sites = [] } = options;
    const clock = new FakeClock();
    const world = {
      audit: new MemoryAudit(clock),
      network: new MemoryNetwork(),
      namespaces: new FakeNamespaces(),
      tokenLifetimeMs,
      expirePeriodMs,
      clock,
      log,
      sinks,
      siteOf: (nodeName: string) => sites[Number(nodeName.replace("node-", "")) - 1] ?? "test",
    };
    const mesh = new Mesh(world, nodes, await meshIdentity(world, "client"));
    await mesh.registry.start();
    for (const node of mesh.nodes) await node.start();
    return mesh;
  }

  /** The node of that number, the first is 1. */
  node(number: number): MeshNode {
    const node = this.nodes[number - 1];
    if (node === undefined) throw new Error(`the mesh has no node ${number}`);
    return node;
  }

  /** Moves time on until `look` gives something other than undefined or false; fails after `withinMs` of the mesh's time. */
  async until<T>(what: string, withinMs: number, look: () => T | undefined | false | Promise<T | undefined | false>): Promise<T> {
    const { clock } = this.world;
    const end = clock.now() + withinMs;
    for (;;) {
      const found = await look();
      if (found !== undefined && found !== false) return found;
      if (clock.now() >= end) throw new Error(`not within ${withinMs} ms: ${what}`);
      // Signing runs beside the event loop: a moment of real time for it.
      await new Promise((resolve) => setTimeout(resolve, 1));
      await clock.advance(20);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client[Symbol.asyncDispose]();
    for (const node of this.nodes) await node[Symbol.asyncDispose]();
    await this.registry[Symbol.asyncDispose]();
  }
}
