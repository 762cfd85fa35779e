import type { Segment, StickyLease } from "../../api/gen/isthmus/v1/segment.js";
import type { Clock } from "../../core/clock.js";
import { asMeshError } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import type { Given } from "../../core/segment/choose.js";
import type { Condition, Entry, Store, Write } from "../store.js";
import { givenIn, giving } from "./given.js";
import { addressOf, hostsFor } from "./stickyHosts.js";
import { type StickyHolder, type StickyRecord, stickyIn, stickyWrite } from "./stickyRecord.js";
import { saying, sayingNoMore } from "./stickyWords.js";
import { blocksPrefix, fenceKey, givenUpKey, namesPrefix } from "./writing.js";

/** A name that nobody has had for so long may be given up where there is no room without. */
const keptMs = 7 * 86_400_000;
/** So many are given up for one at the most. */
const mostGivenUp = 24;

export interface StickyNamesParts {
  readonly store: Store;
  /** Whose registry this is. */
  readonly site: string;
  /** Its own SPIFFE id. */
  readonly registryId: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Who wants which name of which segment. */
export interface Claim {
  readonly segment: Segment;
  readonly name: string;
  readonly wishes: readonly string[];
  readonly holder: StickyHolder;
}

/** A name that may be given up. */
interface Old {
  readonly key: string;
  readonly revision: number;
  readonly record: StickyRecord;
}

/** What a new name is to have, and what is given up for that. */
interface Room {
  readonly hosts: readonly Given[];
  readonly old: readonly Old[];
}

/**
 * Gives a name that is new its addresses, for ever. `made`: that the segment is as it was read. Undefined where somebody else changed the
 * name, or what is given of the segment, meanwhile.
 */
export async function giveName(claim: Claim, made: Condition, parts: StickyNamesParts): Promise<StickyLease | undefined> {
  const { store, registryId, clock, log } = parts;
  const { name: segment } = claim.segment;
  const fence = await store.get(fenceKey(segment));
  // Only now: what somebody is given from here on changes the fence, and then this is not written.
  const [{ entries }, mark] = await Promise.all([store.list(blocksPrefix(segment)), store.get(givenUpKey(segment))]);
  const given = entries.map((entry) => givenIn(entry, segment));
  const room = await roomFor(claim, given, parts);
  const { hosts, old } = room;
  const before = highest(mark, old);
  const addresses = hosts.map(({ prefix }) => addressOf(prefix));
  const [sequence, { holder }] = [before + 1, claim];
  const claims = [{ id: holder.forwarder, sequence }];
  const record = { addresses, sequence, sinceMs: clock.now(), holder, claims, takenFrom: [] };
  const key = namesPrefix(segment) + claim.name;
  const conditions = [made, { key: fenceKey(segment), revision: fence?.revision ?? 0 }, { key, revision: 0 }, ...old];
  const writes = [
    ...(old.length > 0 ? [putText(givenUpKey(segment), String(before)), ...old.flatMap((one) => givingUp(segment, one))] : []),
    ...[...hosts.map((host) => giving(segment, host, clock.now())), putText(fenceKey(segment), claim.name)],
    ...[stickyWrite(key, record), saying(segment, claim.name, record, registryId)],
  ];
  const { ok } = await store.commit({
    conditions: conditions.map(({ key, revision }): Condition => ({ key, revision })),
    writes: lastOfEach(writes),
  });
  if (!ok) return undefined;
  for (const { key, record } of old)
    log.warn("sticky name given up, nobody had it for long", { segment, key, addresses: record.addresses });
  log.info("sticky name given", { segment, name: claim.name, addresses, to: claim.holder.forwarder });
  return { addresses, sequence: record.sequence };
}

/** Those names are given up first that nobody has had for the longest time, and only as many as have to be. */
async function roomFor(claim: Claim, given: readonly Given[], { store, site, clock }: StickyNamesParts): Promise<Room> {
  const old: Old[] = [];
  let left: Old[] | undefined;
  for (;;) {
    const gone = new Set(old.flatMap(({ record }) => record.addresses));
    try {
      return { hosts: hostsFor({ ...claim, site, given: given.filter(({ prefix }) => !gone.has(addressOf(prefix))) }), old };
    } catch (error) {
      if (asMeshError(error).code !== "exhausted" || old.length === mostGivenUp) throw error;
      left ??= oldOnes((await store.list(namesPrefix(claim.segment.name))).entries, clock.now());
      const next = left.shift();
      if (next === undefined) throw error;
      old.push(next);
    }
  }
}

function oldOnes(entries: readonly Entry[], now: number): Old[] {
  return entries
    .map((entry) => ({ key: entry.key, revision: entry.revision, record: stickyIn(entry) }))
    .filter(({ record }) => record.holder === undefined && now - record.sinceMs > keptMs)
    .sort((a, b) => a.record.sinceMs - b.record.sinceMs);
}

/** Of all that was ever given up: whoever has an address now has a higher sequence than any who had it before, if they still think so. */
function highest(mark: Entry | undefined, old: readonly Old[]): number {
  return Math.max(mark === undefined ? 0 : Number(Buffer.from(mark.value).toString("utf8")), ...old.map(({ record }) => record.sequence));
}

function givingUp(segment: string, { key, record }: Old): Write[] {
  const hosts = record.addresses.map((address) => `${blocksPrefix(segment)}${address}/${address.includes(":") ? 128 : 32}`);
  const gone = [key, ...hosts].map((one): Write => ({ op: "delete", key: one }));
  return [...gone, sayingNoMore(segment, key.slice(namesPrefix(segment).length))];
}

/** What is given up may be what is given. */
function lastOfEach(writes: readonly Write[]): Write[] {
  return [...new Map(writes.map((write) => [write.key, write])).values()];
}

function putText(key: string, text: string): Write {
  return { op: "put", key, value: Buffer.from(text) };
}
