import type { Segment } from "../../api/gen/isthmus/v1/segment.js";
import type { NetworkService } from "../../api/gen/registry/registry.js";
import { MeshError } from "../../core/error.js";
import { serviceKind } from "../kind.js";
import { type Condition, type Entry, type Revision, type Store, transactionLimit, type Write } from "../store.js";
import { segmentKind, serviceOf } from "./document.js";
import { sayingNoMore } from "./stickyWords.js";

/** Two who write at once meet once or twice. */
const mostAttempts = 16;

export interface WritingParts {
  readonly store: Store;
  /** The registry's own, in whose name the network services of segments are. */
  readonly registryId: string;
}

/** What is to be instead of what was found; undefined leaves it as it is. What it throws ends the writing. */
type Decide = (known: Segment | undefined, service: NetworkService | undefined) => Segment | "nothing" | undefined;

/**
 * Writes a segment together with its network service, so that there never is one without the other, or takes away both and then its
 * address blocks and sticky names. Resolves with the revision, or undefined when nothing was written.
 */
export async function writeSegment(name: string, { store, registryId }: WritingParts, decide: Decide): Promise<Revision | undefined> {
  const keys = [segmentKind.prefix + name, serviceKind.prefix + name] as const;
  for (let attempt = 0; attempt < mostAttempts; attempt++) {
    const [known, service] = await Promise.all([store.get(keys[0]), store.get(keys[1])]);
    const next = decide(known && segmentKind.decode(known), service && serviceKind.decode(service));
    if (next === undefined || (next === "nothing" && known === undefined)) return undefined;
    // What one of that name has left behind is not the new one's.
    if (known === undefined) await dropBlocks(name, store);
    const conditions = [known, service].map((entry, at): Condition => ({ key: keys[at] ?? "", revision: entry?.revision ?? 0 }));
    const { ok, revision } = await store.commit({ conditions, writes: writesOf(next, name, service, registryId) });
    if (!ok) continue;
    if (next === "nothing") await dropBlocks(name, store);
    return revision;
  }
  throw new MeshError("conflict", `the segment ${name} was changed by others ${mostAttempts} times while it was written; try again`);
}

function writesOf(next: Segment | "nothing", name: string, service: Entry | undefined, registryId: string): Write[] {
  const [key, serviceKey] = [segmentKind.prefix + name, serviceKind.prefix + name];
  if (next === "nothing") return [key, serviceKey].map((one) => ({ op: "delete", key: one }));
  const put: Write = { op: "put", key, value: segmentKind.encode(next) };
  if (service !== undefined) return [put];
  return [put, { op: "put", key: serviceKey, value: serviceKind.encode(serviceOf(next, registryId)) }];
}

/** Before the address blocks of a segment. Without the slash at its end: what every change of them writes, so that no two happen at once. */
export function blocksPrefix(name: string): string {
  return `${everyBlock}${name}/`;
}

export function fenceKey(name: string): string {
  return everyBlock + name;
}

/** Before the address blocks of all segments. */
export const everyBlock = "segment-block/";

/** Before the sticky names of a segment. Without the slash at its end: the highest sequence of those that were given up. */
export function namesPrefix(name: string): string {
  return `${everyName}${name}/`;
}

export function givenUpKey(name: string): string {
  return everyName + name;
}

const everyName = "segment-sticky/";

/** Takes away the address blocks and sticky names of a segment that is not there; where somebody makes it meanwhile, that one's stay. */
export async function dropBlocks(name: string, store: Store): Promise<void> {
  const gone: Condition = { key: segmentKind.prefix + name, revision: 0 };
  const lists = await Promise.all([blocksPrefix(name), namesPrefix(name)].map((prefix) => store.list(prefix)));
  const [blocks = [], names = []] = lists.map(({ entries }) => entries.map(({ key }) => key));
  const said = names.map((key) => sayingNoMore(name, key.slice(namesPrefix(name).length)).key);
  const keys = [...blocks, ...said, ...names, fenceKey(name), givenUpKey(name)];
  for (let from = 0; from < keys.length; from += transactionLimit) {
    const writes = keys.slice(from, from + transactionLimit).map((key): Write => ({ op: "delete", key }));
    if (!(await store.commit({ conditions: [gone], writes })).ok) return;
  }
}

/** Takes away what a registry left behind that ended while it took away a segment. */
export async function sweepBlocks(store: Store): Promise<void> {
  const lists = await Promise.all([everyBlock, everyName].map((prefix) => store.list(prefix)));
  const names = new Set(lists.flatMap(({ entries }) => entries.map(({ key }) => key.split("/")[1] ?? "")));
  for (const name of names) await dropBlocks(name, store);
}
