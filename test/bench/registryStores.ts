import { join } from "node:path";
import { Etcd3 } from "etcd3";
import { open } from "lmdb";
import { silent } from "../../core/log.js";
import { systemClock } from "../../program/clock.js";
import { openEtcdStore } from "../../registry/etcd/store.js";
import { openLmdbStore } from "../../registry/lmdb.js";
import { Etcd } from "../lib/etcd.js";
import { newFolder } from "../lib/folder.js";
import { inParallel } from "../lib/inParallel.js";
import { endpoints, example, fill } from "./registryData.js";
import { type Figure, quantiles } from "./registryFigures.js";

/** A store full of endpoints, what a registry has to be told to use it, and what the same store does without a registry. */
export interface FilledStore extends AsyncDisposable {
  readonly flags: readonly string[];
  /** What the registry has of its own on disk. */
  readonly stateDir: string;
  /** Figures whose names begin with `name`. */
  raw(name: string): Promise<Figure[]>;
}

const puts = 2_000;
const gets = 1_000;
/** As many clients as in the figure of the registry. */
export const width = 32;

export async function lmdb(): Promise<FilledStore> {
  const folder = newFolder();
  const stateDir = join(folder.path, "state");
  await using store = openLmdbStore(stateDir, { clock: systemClock, log: silent });
  await fill(store);
  return {
    flags: ["--store", "lmdb"],
    stateDir,
    raw: async (name) => {
      const raw = open<Uint8Array, string>({ path: join(folder.path, "raw"), overlappingSync: false, encoding: "binary" });
      const value = Buffer.from(JSON.stringify(example(0)));
      const figures = await rawFigures(name, { put: (key) => raw.put(key, value), get: async (key) => raw.get(key) });
      await raw.close();
      return figures;
    },
    [Symbol.asyncDispose]: async () => folder[Symbol.dispose](),
  };
}

export async function etcd(): Promise<FilledStore> {
  const folder = newFolder();
  const cluster = await Etcd.start();
  const endpoint = { endpoints: cluster.urls, prefix: "isthmus/bench/" };
  await using store = await openEtcdStore(endpoint, { clock: systemClock, log: silent });
  await fill(store);
  const settings = ["--etcd-endpoints", cluster.urls.join(","), "--etcd-prefix", endpoint.prefix];
  return {
    flags: ["--store", "etcd", ...settings],
    stateDir: join(folder.path, "state"),
    raw: async (name) => {
      const client = new Etcd3({ hosts: cluster.urls });
      const value = Buffer.from(JSON.stringify(example(0)));
      const figures = await rawFigures(name, {
        put: (key) => client.put(`raw/${key}`).value(value).exec(),
        get: (key) => client.get(`raw/${key}`).buffer(),
      });
      client.close();
      return figures;
    },
    [Symbol.asyncDispose]: async () => {
      await cluster[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

interface Raw {
  put(key: string): PromiseLike<unknown>;
  get(key: string): PromiseLike<unknown>;
}

async function rawFigures(name: string, { put, get }: Raw): Promise<Figure[]> {
  const started = performance.now();
  await inParallel(puts, width, async (at) => put(`endpoint-${endpoints + at}`));
  const perSecond = (puts / (performance.now() - started)) * 1_000;
  const times: number[] = [];
  for (let at = 0; at < gets; at++) {
    const asked = performance.now();
    await get(`endpoint-${endpoints + at}`);
    times.push(performance.now() - asked);
  }
  return [{ name: `${name}-raw-put-rate`, value: perSecond, unit: "per second" }, ...quantiles(`${name}-raw-get`, times)];
}
