import type { ListBlocksRequest, ReleaseBlocksRequest, SegmentBlock } from "../../api/gen/isthmus/v1/segment.js";
import { NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import type { Audit } from "../../core/audit.js";
import { MeshError } from "../../core/error.js";
import { formatPrefix } from "../../core/ipam/prefix.js";
import type { Log } from "../../core/log.js";
import type { EndpointRegistry } from "../../rpc/registry.js";
import type { BlocksAdminApi } from "../../rpc/segmentApi.js";
import { endpointKind } from "../kind.js";
import { type Condition, type Store, transactionLimit, type Write } from "../store.js";
import type { SegmentBook } from "./book.js";
import { givenIn } from "./given.js";
import { isStickyOwner } from "./stickyHosts.js";
import { blocksPrefix } from "./writing.js";

export interface BlockAdminParts {
  readonly store: Store;
  readonly book: Pick<SegmentBook, "current" | "has">;
  /** Those of this site. */
  readonly ownEndpoints: Pick<EndpointRegistry, "find">;
  readonly audit: Audit;
  readonly log: Log;
}

interface Held {
  readonly block: SegmentBlock;
  /** As it was read. */
  readonly condition: Condition;
}

/** Who has which blocks of a segment, and the end of what a node has that is gone: it alone gives them back, and nobody else takes them. */
export class BlockAdmin implements BlocksAdminApi {
  readonly #parts: BlockAdminParts;

  constructor(parts: BlockAdminParts) {
    this.#parts = parts;
  }

  async listBlocks({ segment }: ListBlocksRequest, signal: AbortSignal): Promise<readonly SegmentBlock[]> {
    return (await this.#held(segment, signal)).map(({ block }) => block);
  }

  async releaseBlocks({ segment, node, force }: ReleaseBlocksRequest, signal: AbortSignal): Promise<readonly SegmentBlock[]> {
    const all = await this.#held(segment, signal);
    const theirs = all.filter(({ block }) => isOf(block, node));
    if (theirs.length === 0) throw this.#nothing(segment, node, all);
    const there = theirs.find(({ block }) => block.registered)?.block.holder;
    if (there !== undefined && !force)
      throw new MeshError(
        "conflict",
        `${there} is registered, so ${node} gives addresses of the segment ${segment} to members; stop it first, or release its blocks with --force, and it asks for them again`,
      );
    await this.#delete(segment, theirs);
    // What it has said goes with them, and after them: whoever is there after all says it again at once, and is refused.
    for (const name of there === undefined ? [] : await this.#said(segment, theirs, signal))
      await this.#parts.store.commit({ writes: [{ op: "delete", key: endpointKind.prefix + name }] });
    const blocks = theirs.map(({ block }) => block);
    const prefixes = blocks.map(({ prefix }) => prefix);
    this.#parts.log.warn("address blocks taken back from a node", { segment, node, blocks: prefixes, forced: force });
    const sentence = `took back ${prefixes.join(", ")} from ${blocks[0]?.node}${there === undefined ? "" : " by force"}`;
    this.#parts.audit.changed({ who: "the administrator", what: "segment", on: segment, sentence });
    return blocks;
  }

  async #held(segment: string, signal: AbortSignal): Promise<Held[]> {
    const { store, book } = this.#parts;
    if (!book.has(segment)) throw unknown(segment, book);
    const { entries } = await store.list(blocksPrefix(segment));
    const registered = new Set((await this.#registered(signal)).map(({ pathIds }) => pathIds[0]));
    return entries.flatMap((entry): Held[] => {
      const { prefix, owner, holder, sinceMs } = givenIn(entry, segment);
      if (isStickyOwner(owner)) return [];
      const block = { prefix: formatPrefix(prefix), node: owner, holder, registered: registered.has(holder), sinceMs };
      return [{ block, condition: { key: entry.key, revision: entry.revision } }];
    });
  }

  /** The endpoints of the segment that these say. */
  async #said(segment: string, held: readonly Held[], signal: AbortSignal): Promise<string[]> {
    const holders = new Set(held.map(({ block }) => block.holder));
    const all = await this.#registered(signal, segment);
    return all.flatMap(({ name, pathIds }) => (holders.has(pathIds[0] ?? "") ? [name] : []));
  }

  async #registered(signal: AbortSignal, service?: string): Promise<NetworkServiceEndpoint[]> {
    const found: NetworkServiceEndpoint[] = [];
    const query = NetworkServiceEndpoint.fromPartial({ networkServiceNames: service === undefined ? [] : [service] });
    for await (const { value } of this.#parts.ownEndpoints.find(query, { watch: false }, { signal })) found.push(value);
    return found;
  }

  /** One that its node has asked for again meanwhile stays, and is said. */
  async #delete(segment: string, held: readonly Held[]): Promise<void> {
    for (let from = 0; from < held.length; from += transactionLimit) {
      const conditions = held.slice(from, from + transactionLimit).map(({ condition }) => condition);
      const writes = conditions.map(({ key }): Write => ({ op: "delete", key }));
      if ((await this.#parts.store.commit({ conditions, writes })).ok) continue;
      throw new MeshError(
        "conflict",
        `the address blocks of the segment ${segment} were changed while they were released; look again with nsmctl get blocks ${segment}`,
      );
    }
  }

  #nothing(segment: string, node: string, all: readonly Held[]): MeshError {
    const nodes = [...new Set(all.map(({ block }) => block.node))].sort();
    const those = nodes.length === 0 ? "no node has any" : `these do: ${nodes.join(", ")}`;
    return new MeshError("not-found", `${node} has no address blocks of the segment ${segment}; ${those}`);
  }
}

/** By its name, as its ids have it that the site's own authority gives, or by one of them. */
function isOf({ node, holder }: SegmentBlock, wanted: string): boolean {
  return [node, holder].some((id) => id === wanted || id.split("/").slice(3, 5).join("/") === `node/${wanted}`);
}

function unknown(segment: string, { current }: Pick<SegmentBook, "current">): MeshError {
  const names = current.map(({ name }) => name);
  return new MeshError(
    "not-found",
    `there is no segment ${segment}; ${names.length === 0 ? "there is none" : `there are: ${names.join(", ")}`}`,
  );
}
