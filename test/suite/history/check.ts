import type { Revision, Write } from "../../../registry/store.js";
import type { Segment } from "./observer.js";
import type { Record, RecordedCommit } from "./record.js";

/** Who wrote a value: "owner#number". */
export function ownerOf(value: string): string {
  return value.slice(0, value.indexOf("#"));
}

/** One key's change at one revision, and when it was first seen. */
interface Fact {
  readonly value: string | undefined;
  readonly at: number;
}

/** All that is known to have happened: revisions in order, each with its changes by key. */
type Truth = Map<Revision, Map<string, Fact>>;

/**
 * Holds what clients were told against what watches told, and both against themselves. Returns what is wrong, in sentences; an empty
 * list is a history that a single store without faults could have had.
 */
export function check(record: Record, segments: readonly Segment[]): string[] {
  const wrong: string[] = [];
  const truth: Truth = new Map();
  for (const commit of record.commits) acknowledge(truth, commit);
  for (const segment of segments) hear(truth, segment, wrong);
  const ordered = new Map([...truth].sort(([a], [b]) => a - b));
  for (const segment of segments) complete(ordered, segment, wrong);
  explain(ordered, record, wrong);
  replay(ordered, { record, segments }, wrong);
  reads(ordered, record, wrong);
  return wrong;
}

function acknowledge(truth: Truth, { transaction, outcome }: RecordedCommit): void {
  if (outcome === "unknown" || !outcome.ok) return;
  const facts = truth.get(outcome.revision) ?? new Map<string, Fact>();
  for (const write of transaction.writes) facts.set(write.key, { value: written(write), at: Number.POSITIVE_INFINITY });
  truth.set(outcome.revision, facts);
}

/** A watch tells revisions in order, and what others told of the same revision. */
function hear(truth: Truth, { start, seen }: Segment, wrong: string[]): void {
  let last = start.revision;
  const told = new Set<string>();
  for (const { revision, key, value, at } of seen) {
    if (revision < last) wrong.push(`a watch told revision ${revision} after ${last}`);
    last = revision;
    const once = `${revision} ${key}`;
    if (told.has(once)) wrong.push(`a watch told ${key} at revision ${revision} twice`);
    told.add(once);
    const facts = truth.get(revision) ?? new Map<string, Fact>();
    const known = facts.get(key);
    if (known !== undefined && known.value !== value)
      wrong.push(`${key} at revision ${revision} is told as ${known.value} and as ${value}`);
    facts.set(key, { value, at: Math.min(at, known?.at ?? at) });
    truth.set(revision, facts);
  }
}

/** Between its listing and its last word a watch leaves nothing out. */
function complete(truth: Truth, { start, seen }: Segment, wrong: string[]): void {
  const told = new Set(seen.map(({ revision, key }) => `${revision} ${key}`));
  const end = seen.at(-1)?.revision ?? start.revision;
  for (const [revision, facts] of truth)
    if (revision > start.revision && revision <= end)
      for (const key of facts.keys())
        if (!told.has(`${revision} ${key}`)) wrong.push(`a watch from ${start.revision} to ${end} left out ${key} at revision ${revision}`);
}

/** Every change was asked for by somebody, once, or is the end of a lease whose time was over. */
function explain(truth: Truth, { commits, leases }: Record, wrong: string[]): void {
  const asked = new Map<string, RecordedCommit>();
  for (const commit of commits)
    for (const write of commit.transaction.writes) if (write.op === "put") asked.set(written(write) ?? "", commit);
  const deletes = deletesOf(commits);
  const held = new Map<string, string>();
  const happened = new Set<string>();
  for (const [revision, facts] of truth)
    for (const [key, { value, at }] of facts) {
      if (value !== undefined) {
        const outcome = asked.get(value)?.outcome;
        if (outcome === undefined || (outcome !== "unknown" && !(outcome.ok && outcome.revision === revision)))
          wrong.push(`${key}=${value} is there at revision ${revision}, but its client was told otherwise`);
        if (happened.has(value)) wrong.push(`${key}=${value} happened twice, again at revision ${revision}`);
        happened.add(value);
        held.set(key, value);
        continue;
      }
      const lease = leases.get(held.get(key) ?? "");
      const deleted = deletes.has(`${revision} ${key}`) || deletes.has(`unknown ${key}`);
      if (!deleted && lease === undefined) wrong.push(`${key} vanished at revision ${revision}, and nobody deleted it`);
      if (!deleted && lease !== undefined && at < lease.granted + lease.ttlMs)
        wrong.push(`the lease of ${key} ended early, at revision ${revision}`);
    }
}

/** What was deleted, as "REVISION KEY", or as "unknown KEY" where it may have been at any. */
function deletesOf(commits: readonly RecordedCommit[]): ReadonlySet<string> {
  const all = new Set<string>();
  for (const { transaction, outcome } of commits)
    for (const { op, key } of transaction.writes)
      if (op === "delete" && (outcome === "unknown" || outcome.ok)) all.add(`${outcome === "unknown" ? outcome : outcome.revision} ${key}`);
  return all;
}

/** A name that somebody has is written by nobody else; what a listing shows is what was there at that revision. */
function replay(
  truth: Truth,
  { record, segments }: { readonly record: Record; readonly segments: readonly Segment[] },
  wrong: string[],
): void {
  const state = new Map<string, string>();
  const starts = segments.map(({ start }) => start).sort((a, b) => a.revision - b.revision);
  const unsure = new Set(
    record.commits.filter(({ outcome }) => outcome === "unknown").flatMap(({ transaction }) => transaction.writes.map(nameOf)),
  );
  const listed = (before: Revision) => {
    for (let next = starts[0]; next !== undefined && next.revision < before; next = starts[0]) {
      starts.shift();
      for (const key of new Set([...state.keys(), ...next.entries.keys()])) {
        const [is, was] = [next.entries.get(key), state.get(key)];
        // Where no watch could tell (the store was closed), an unknown commit or the end of a lease may lie between.
        const explained = is === undefined ? unsure.has(`-${key}`) || record.leases.has(was ?? "") : unsure.has(`${key}=${is}`);
        if (is !== was && !explained) wrong.push(`the listing at revision ${next.revision} has ${key}=${is}, but it was ${was}`);
        if (is === undefined) state.delete(key);
        else state.set(key, is);
      }
    }
  };
  for (const [revision, facts] of truth) {
    listed(revision);
    for (const [key, { value }] of facts) {
      const before = state.get(key);
      if (value === undefined) state.delete(key);
      else {
        if (before !== undefined && ownerOf(before) !== ownerOf(value))
          wrong.push(`${key} of ${before} was taken by ${value} at revision ${revision}`);
        state.set(key, value);
      }
    }
  }
  listed(Number.POSITIVE_INFINITY);
}

/** A read shows what was acknowledged before it began, or something later. */
function reads(truth: Truth, record: Record, wrong: string[]): void {
  const deletes = new Map<string, Revision>();
  for (const [revision, facts] of truth) for (const [key, { value }] of facts) if (value === undefined) deletes.set(key, revision);
  const last = (key: string, revision: Revision) => truth.get(revision)?.get(key)?.value ?? "";
  for (const { key, atLeast, found } of record.reads)
    if (found === undefined) {
      // With a lease it may have ended where no watch could tell.
      if (atLeast > 0 && (deletes.get(key) ?? 0) < atLeast && !record.leases.has(last(key, atLeast)))
        wrong.push(`a read found no ${key}, which was acknowledged at revision ${atLeast}`);
    } else if (found.revision < atLeast) wrong.push(`a read found ${key} of revision ${found.revision}, after ${atLeast} was acknowledged`);
}

function written(write: Write): string | undefined {
  return write.op === "put" ? Buffer.from(write.value).toString() : undefined;
}

function nameOf(write: Write): string {
  return write.op === "put" ? `${write.key}=${written(write)}` : `-${write.key}`;
}
