import { fenced } from "../../../registry/fenced.js";
import type { Entry, Store, Write } from "../../../registry/store.js";
import { type Random, randomOf } from "../../lib/random.js";
import { until } from "../../lib/until.js";
import { check, ownerOf } from "./check.js";
import { isUnreachable, Observer, textOf } from "./observer.js";
import { Record } from "./record.js";

/** Stores to try, and what can happen to them. */
export interface World extends AsyncDisposable {
  /** What clients number `client` uses just now. */
  store(client: number): Store;
  /** Each is let happen once, one after the other, while clients work. */
  readonly faults: readonly ((random: Random) => Promise<void>)[];
}

export interface Report {
  readonly operations: number;
  /** Those that failed because the store was away. */
  readonly unreachable: number;
  /** Commits, and those of which their clients do not know whether they happened. */
  readonly commits: number;
  readonly unknown: number;
  /** What watches told, and how often they had to begin with a listing. */
  readonly changes: number;
  readonly listings: number;
  readonly wrong: readonly string[];
}

const clients = 16;
/** So that some share a name with their equals, and some fight for it with others. */
const owners = 4;
const names = 40;
const briefMs = 1_000;
const settleMs = 15_000;

/** Lets clients register, unregister and read names at random while faults happen, and checks the history. */
export async function runHistory(
  world: World,
  { seed, operations }: { readonly seed: number; readonly operations: number },
): Promise<Report> {
  const record = new Record();
  const random = randomOf(seed);
  const run = { record, operations: 0, unreachable: 0, values: 0, over: false };
  const observers = [
    new Observer(() => world.store(0)),
    new Observer(
      () => world.store(1),
      () => pause(5),
    ),
  ];
  const faults = (async () => {
    for (const fault of world.faults) {
      observers.push(new Observer(() => world.store(observers.length)));
      await fault(random);
    }
  })().finally(() => {
    run.over = true;
  });
  const work = Array.from({ length: clients }, async (_, client) => {
    const own = randomOf(seed + client + 1);
    while (run.operations < operations || !run.over) {
      run.operations++;
      // A store in this process answers without a turn of the event loop; watches and timers need one.
      await new Promise((resolve) => setImmediate(resolve));
      await step(world.store(client), `o${client % owners}`, own, run).catch((error: unknown) => {
        if (!isUnreachable(error)) throw error;
        run.unreachable++;
      });
    }
  });
  await Promise.all([faults, ...work]);
  const end = await until("the last write", settleMs, () =>
    fenced(withRecord(world.store(0), record), "end", () => put("end", "end#0")).catch(ignoreUnreachable),
  );
  await Promise.all(observers.map((observer) => observer.reached(end, settleMs)));
  for (const observer of observers) await observer[Symbol.asyncDispose]();
  const segments = observers.flatMap((observer) => observer.segments);
  const changes = segments.reduce((sum, { seen }) => sum + seen.length, 0);
  const { commits } = record;
  const unknown = commits.filter(({ outcome }) => outcome === "unknown").length;
  const counts = { operations: run.operations, unreachable: run.unreachable, commits: commits.length, unknown };
  return { ...counts, changes, listings: segments.length, wrong: check(record, segments) };
}

interface Run {
  readonly record: Record;
  values: number;
}

async function step(store: Store, owner: string, random: Random, run: Run): Promise<void> {
  const key = `n${Math.floor(random() * names)}`;
  const dice = random();
  if (dice < 0.5) await register(store, { key, owner, brief: random() < 0.1 }, run);
  else if (dice < 0.75) await unregister(store, { key, owner }, run);
  else await read(store, key, run);
}

async function register(
  store: Store,
  { key, owner, brief }: { readonly key: string; readonly owner: string; readonly brief: boolean },
  run: Run,
) {
  const granted = performance.now();
  const lease = brief ? await store.grant(briefMs) : undefined;
  await fenced(withRecord(store, run.record), key, (found) => {
    if (found !== undefined && !isOwn(found, owner)) return undefined;
    const value = `${owner}#${run.values++}`;
    if (lease !== undefined) run.record.leases.set(value, { granted, ttlMs: briefMs });
    return put(key, value, lease);
  }).catch((error: unknown) => {
    // A lease of a second may end while its store is away.
    if (!(lease !== undefined && (error as { code?: string }).code === "not-found")) throw error;
  });
}

async function unregister(store: Store, { key, owner }: { readonly key: string; readonly owner: string }, run: Run) {
  await fenced(withRecord(store, run.record), key, (found) =>
    found !== undefined && isOwn(found, owner) ? { op: "delete", key } : undefined,
  );
}

async function read(store: Store, key: string, { record }: Run) {
  const atLeast = record.acknowledged(key);
  const found = await store.get(key);
  record.reads.push({ key, atLeast, found: found && { value: textOf(found), revision: found.revision } });
}

function withRecord(store: Store, record: Record): Store {
  return Object.assign(Object.create(store) as Store, record.on(store));
}

function isOwn(entry: Entry, owner: string): boolean {
  return ownerOf(textOf(entry)) === owner;
}

function put(key: string, value: string, lease?: string): Write {
  return { op: "put", key, value: Buffer.from(value), lease };
}

function ignoreUnreachable(error: unknown): undefined {
  if (!isUnreachable(error)) throw error;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
