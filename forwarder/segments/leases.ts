import type { Segment } from "../../api/gen/isthmus/v1/segment.js";
import { asMeshError, MeshError } from "../../core/error.js";
import { formatAddress, parseRange } from "../../core/ipam/address.js";
import { PrefixPool } from "../../core/ipam/pool.js";
import { Serial } from "../../core/serial.js";
import { contains, hostPrefix } from "../addresses.js";

export interface LeasesParts {
  /** As it is described now. */
  readonly segment: () => Segment;
  /** That the node has by now. */
  readonly blocks: readonly string[];
  /** Asks the site's registry for a block: any of a family (`0.0.0.0/0`, `::/0`), or one address (`10.60.0.9/32`). */
  readonly allocate: (prefix: string, signal: AbortSignal) => Promise<string>;
  /** Keeps the node's blocks; resolves when they are on disk. */
  readonly keep: (blocks: readonly string[]) => Promise<void>;
}

interface Block {
  readonly prefix: string;
  readonly pool: PrefixPool;
}

/**
 * The addresses that this node gives to members of one segment, out of blocks that are its own: nobody else is asked, and nobody else
 * gives them. Only a new block comes from the registry. What is given is kept with the members; `adopt` tells of it after a restart.
 */
export class Leases {
  readonly #parts: LeasesParts;
  readonly #blocks: Block[] = [];
  /** By prefix of the segment. */
  readonly #routers = new Map<string, string>();
  readonly #serial = new Serial();
  /** Single addresses that are asked for just now. */
  readonly #awaited = new Set<string>();

  constructor(parts: LeasesParts) {
    this.#parts = parts;
    for (const prefix of parts.blocks) this.#add(prefix);
  }

  /** The node's own address in each of the segment's prefixes, as far as it has a block there. */
  get routers(): string[] {
    return this.#parts.segment().prefixes.flatMap((prefix) => this.#routers.get(prefix) ?? []);
  }

  get blocks(): string[] {
    return this.#blocks.map(({ prefix }) => prefix);
  }

  /** These are not the node's any more, and nothing in them is. */
  forget(prefixes: readonly string[]): void {
    for (const block of this.#blocks.filter(({ prefix }) => prefixes.includes(prefix))) {
      this.#blocks.splice(this.#blocks.indexOf(block), 1);
      for (const [of, router] of this.#routers) if (block.pool.contains(router)) this.#routers.delete(of);
    }
    for (const block of this.#blocks) this.#takeRouter(block);
  }

  /** Given by an earlier run. */
  adopt(addresses: readonly string[]): void {
    for (const address of addresses) this.#blockOf(address)?.pool.recover(address);
  }

  /**
   * One address of each of the segment's prefixes: the wished one, else the lowest that is free. All or none. `had`: the wished ones were given
   * to whoever wants them, who gets others where they are another node's by now.
   */
  async take(wishes: readonly string[], excluded: readonly string[], signal: AbortSignal, had = false): Promise<string[]> {
    const segment = this.#parts.segment();
    for (const wish of wishes)
      if (!segment.prefixes.some((prefix) => contains(prefix, wish)))
        throw new MeshError("invalid", `${wish} is no address of the segment ${segment.name}, which has ${segment.prefixes.join(" and ")}`);
    const taken: string[] = [];
    try {
      for (const prefix of segment.prefixes) {
        const wish = wishes.find((address) => contains(prefix, address));
        const any = () => this.#any(prefix, excluded, signal);
        taken.push(await this.#serial.run(prefix, () => (wish === undefined ? any() : this.#this(wish, signal, had ? any : undefined))));
      }
      return taken;
    } catch (error) {
      // Blocks of which nothing is used now go with the next that is given back.
      this.#free(taken);
      throw error;
    }
  }

  /** Has at least one block for each prefix, and so an address of its own there. */
  async begin(signal: AbortSignal): Promise<void> {
    const isHere = (prefix: string) => this.#blocks.some((block) => contains(prefix, block.prefix) && !isHost(block.prefix));
    const missing = this.#parts.segment().prefixes.filter((prefix) => !isHere(prefix));
    await Promise.all(missing.map((prefix) => this.#another(prefix, signal)));
  }

  /** Answers the blocks that are of no more use: those of single addresses. They are to be given back. */
  release(addresses: readonly string[]): string[] {
    this.#free(addresses);
    const idle = this.#blocks.filter(({ prefix, pool }) => isHost(prefix) && pool.used === 0n && !this.#awaited.has(prefix));
    for (const block of idle) this.#blocks.splice(this.#blocks.indexOf(block), 1);
    return idle.map(({ prefix }) => prefix);
  }

  #free(addresses: readonly string[]): void {
    for (const address of addresses) this.#blockOf(address)?.pool.release(address);
  }

  async #any(prefix: string, excluded: readonly string[], signal: AbortSignal): Promise<string> {
    const out = [...this.#parts.segment().exclude, ...edgesOf(prefix), ...excluded];
    const take = ({ prefix: block, pool }: Block) => pool.take([...out, ...oddOf(block)]) ?? pool.take(out);
    // A single address was asked for by name, and is given to nobody else.
    const free = () =>
      firstOf(this.#blocks, (block) => (contains(prefix, block.prefix) && !isHost(block.prefix) ? take(block) : undefined));
    const known = free();
    if (known !== undefined) return known;
    await this.#another(prefix, signal);
    const fresh = free();
    if (fresh !== undefined) return fresh;
    throw new MeshError(
      "exhausted",
      `no address of ${prefix} is left for this client, to whom ${excluded.join(", ")} means something else`,
    );
  }

  async #this(address: string, signal: AbortSignal, instead: (() => Promise<string>) | undefined): Promise<string> {
    const segment = this.#parts.segment();
    if (segment.prefixes.flatMap(edgesOf).some((edge) => contains(edge, address)))
      throw new MeshError(
        "invalid",
        `${address} is the network's own or its broadcast address in the segment ${segment.name}; choose another`,
      );
    this.#awaited.add(hostPrefix(address));
    try {
      if (this.#blockOf(address) === undefined) await this.#get(hostPrefix(address), signal);
      if (this.#blockOf(address)?.pool.recover(address) === true) return address;
    } catch (error) {
      if (instead === undefined || !isRefused(error)) throw error;
      return await instead();
    } finally {
      this.#awaited.delete(hostPrefix(address));
    }
    const whose = this.routers.includes(address) ? "this node's own" : "another member's";
    throw new MeshError("exists", `${address} is ${whose} in the segment ${segment.name}; choose another`);
  }

  async #another(prefix: string, signal: AbortSignal): Promise<void> {
    if (await this.#get(parseRange(prefix).family === 4 ? "0.0.0.0/0" : "::/0", signal)) return;
    throw new MeshError("exhausted", `the registry gave this node a block of ${this.#parts.segment().name} that it has already`);
  }

  /** Whether the node did not have it before. */
  async #get(wish: string, signal: AbortSignal): Promise<boolean> {
    const { allocate, keep } = this.#parts;
    const segment = this.#parts.segment();
    const block = await allocate(wish, signal);
    if (!segment.prefixes.some((prefix) => contains(prefix, block)))
      throw new MeshError("invalid", `the registry gave ${block}, which is none of ${segment.name}'s addresses`);
    if (this.blocks.includes(block)) return false;
    // Before anybody else keeps what there is.
    const added = this.#add(block);
    try {
      await keep(this.blocks);
      return true;
    } catch (error) {
      this.#blocks.splice(this.#blocks.indexOf(added), 1);
      throw error;
    }
  }

  #add(prefix: string): Block {
    const pool = new PrefixPool([prefix]);
    const block = { prefix, pool };
    this.#blocks.push(block);
    this.#takeRouter(block);
    return block;
  }

  /** Out of the first block of each of the segment's prefixes. */
  #takeRouter({ prefix, pool }: Block): void {
    const segment = this.#parts.segment();
    const of = segment.prefixes.find((candidate) => contains(candidate, prefix));
    if (of === undefined || isHost(prefix) || this.#routers.has(of)) return;
    const router = pool.take([...edgesOf(of), ...segment.exclude, ...oddOf(prefix)]);
    if (router !== undefined) this.#routers.set(of, router);
  }

  #blockOf(address: string): Block | undefined {
    return this.#blocks.find(({ pool }) => pool.contains(address));
  }
}

/** Whether the registry knows better whose a block is, or that it cannot be given: not, that it could not say. */
export function isRefused(error: unknown): boolean {
  return ["exists", "invalid", "exhausted"].includes(asMeshError(error).code);
}

/** The first and the last address of a prefix: the network's own, and broadcast. IPv6 has but the first (RFC 4291, 2.6.1). */
function edgesOf(prefix: string): string[] {
  const { family, first, last } = parseRange(prefix);
  const edges = family === 4 ? [first, last] : [first];
  return edges.map((value) => hostPrefix(formatAddress(family, value)));
}

function firstOf<T, R>(values: readonly T[], find: (value: T) => R | undefined): R | undefined {
  for (const value of values) {
    const found = find(value);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Addresses of a block that look as if they were a network's own; nobody gets them while there are others. */
function oddOf(block: string): string[] {
  const { first, last } = parseRange(block);
  return last - first < 7n ? [] : edgesOf(block);
}

function isHost(prefix: string): boolean {
  const { first, last } = parseRange(prefix);
  return first === last;
}
