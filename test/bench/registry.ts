import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import v8 from "node:v8";
import { runInNewContext } from "node:vm";
import type { NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import { silent } from "../../core/log.js";
import { systemClock } from "../../program/clock.js";
import { nodeFlags } from "../../program/nodeFlags.js";
import { Peers } from "../../rpc/client.js";
import type { EndpointRegistry } from "../../rpc/registry.js";
import { Running } from "../lib/command.js";
import { newFolder } from "../lib/folder.js";
import { inParallel } from "../lib/inParallel.js";
import { anybody, siteIdentity } from "../lib/siteIdentity.js";
import { until } from "../lib/until.js";
import { endpoints, example, labelled, perService, query, services } from "./registryData.js";
import { type Figure, quantiles } from "./registryFigures.js";
import { type FilledStore, width } from "./registryStores.js";

const finds = 1_000;
const registers = 2_000;
const watchers = 1_000;
const tellings = 20;
/** Before the clock runs: the compilers of both processes have to see the code first. By the thousandth find they are still at it. */
const warmUp = 2_000;
/** What this process leaves is collected between calls, before its space for fresh objects is full: that is not the registry's time. */
const collectEvery = 100;
export const howAsked = `${finds} finds after ${warmUp} that do not count; the asking process collects its own garbage between them`;

/**
 * Finds among 100,000 endpoints in 10,000 services that a registry of its own process keeps in `store`, asked over gRPC; what
 * registering costs, what telling many watchers; and what the store does by itself. Names of figures begin with `name`.
 */
export async function benchRegistry(name: string, create: () => Promise<FilledStore>): Promise<Figure[]> {
  using folder = newFolder();
  await using store = await create();
  const url = `unix://${folder.path}/registry.sock`;
  const identity = await siteIdentity(store.stateDir, "spiffe://default/bench");
  await using peers = new Peers({ identity, expect: anybody, log: silent, clock: systemClock, dialTimeoutMs: 2_000 });
  const started = performance.now();
  await using registry = new Running(process.execPath, [
    ...nodeFlags.registry,
    ...program(),
    ...["--listen-on", url, "--state-dir", store.stateDir, "--admin-socket", `unix://${folder.path}/admin.sock`],
    ...store.flags,
  ]);
  await until("the registry serves", 30_000, () => peers.health(url, AbortSignal.timeout(500)));
  const served = performance.now() - started;
  const remote = peers.endpoints(url);
  return [
    ...(await findTimes(`${name}-find-by-service`, remote, (at) => query({ networkServiceNames: [`service-${at % services}`] }))),
    ...(await findTimes(`${name}-find-by-name`, remote, (at) => query({ name: `endpoint-${(at * 7_919) % endpoints}` }))),
    ...(await findTimes(`${name}-find-by-label`, remote, (at) => query(labelled(at % services, `pod-${at % perService}`)))),
    ...(await registerTimes(name, remote)),
    ...(await fanOut(name, remote)),
    ...(await floorTimes(name, peers, url)),
    ...(await store.raw(name)),
    { name: `${name}-start`, value: served, unit: "ms" },
    { name: `${name}-memory`, value: registry.memory() / 2 ** 20, unit: "MB" },
  ];
}

v8.setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as (options: { readonly type: "minor" }) => void;
const collect = (): void => gc({ type: "minor" });

/** What was built, or else the sources. */
function program(): string[] {
  const root = resolve(import.meta.dirname, "../..");
  const built = join(root, "dist/registry/main.js");
  return existsSync(built) ? [built] : ["--import=tsx", join(root, "registry/main.ts")];
}

async function findTimes(name: string, registry: EndpointRegistry, asked: (at: number) => NetworkServiceEndpoint): Promise<Figure[]> {
  const times: number[] = [];
  for (let at = 0; at < warmUp + finds; at++) {
    if (at % collectEvery === 0) collect();
    const started = performance.now();
    let found = 0;
    for await (const _ of registry.find(asked(at), { watch: false }, { signal: AbortSignal.timeout(5_000) })) found++;
    if (at >= warmUp) times.push(performance.now() - started);
    if (found === 0) throw new Error(`${name}: query ${at} found nothing`);
  }
  return quantiles(name, times);
}

/** One after the other, and many at a time. */
async function registerTimes(name: string, registry: EndpointRegistry): Promise<Figure[]> {
  const times: number[] = [];
  for (let at = 0; at < 500; at++) {
    const started = performance.now();
    await registry.register(example(at), { signal: AbortSignal.timeout(5_000) });
    times.push(performance.now() - started);
  }
  const started = performance.now();
  await inParallel(registers, width, (at) => registry.register(example(1_000 + at), { signal: AbortSignal.timeout(30_000) }));
  const rate = (registers / (performance.now() - started)) * 1_000;
  return [...quantiles(`${name}-register`, times), { name: `${name}-register-rate`, value: rate, unit: "per second" }];
}

/** From a registration to the last of 1,000 watchers who is told. */
async function fanOut(name: string, registry: EndpointRegistry): Promise<Figure[]> {
  const stop = new AbortController();
  const service = { networkServiceNames: ["watched"] };
  let told = 0;
  let all: () => void = () => {};
  const watch = async () => {
    for await (const _ of registry.find(query(service), { watch: true }, { signal: stop.signal })) if (++told % watchers === 0) all();
  };
  const watching = Array.from({ length: watchers }, watch);
  const times: number[] = [];
  for (let at = 0; at < 1 + tellings; at++) {
    const everybody = new Promise<void>((resolve) => {
      all = resolve;
    });
    const started = performance.now();
    await registry.register(
      { ...example(0), ...service, name: "watched", networkServiceLabels: {} },
      { signal: AbortSignal.timeout(30_000) },
    );
    await everybody;
    // The first is told while the watches begin.
    if (at > 0) times.push(performance.now() - started);
  }
  stop.abort();
  await Promise.allSettled(watching);
  return quantiles(`${name}-tell-1000-watchers`, times);
}

/** A call that asks for nothing: what gRPC and the machine take of the above. */
async function floorTimes(name: string, peers: Peers, url: string): Promise<Figure[]> {
  const times: number[] = [];
  for (let at = 0; at < finds; at++) {
    if (at % collectEvery === 0) collect();
    const started = performance.now();
    await peers.health(url, AbortSignal.timeout(5_000));
    times.push(performance.now() - started);
  }
  return quantiles(`${name}-empty-call`, times);
}
