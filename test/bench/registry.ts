import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import { silent } from "../../core/log.js";
import { toTimestamp } from "../../core/timestamp.js";
import { systemClock } from "../../program/clock.js";
import { endpointKind } from "../../registry/kind.js";
import { openLmdbStore } from "../../registry/lmdb.js";
import { type Store, transactionLimit } from "../../registry/store.js";
import { Peers } from "../../rpc/client.js";
import type { EndpointRegistry } from "../../rpc/registry.js";
import { Running } from "../lib/command.js";
import { newFolder } from "../lib/folder.js";
import { anybody, siteIdentity } from "../lib/siteIdentity.js";
import { until } from "../lib/until.js";
import { quantile, rounded } from "./stats.js";

const endpoints = 100_000;
const perService = 10;
const services = endpoints / perService;
const finds = 1_000;
/** Before the clock runs: the compilers of both processes have to see the code first. */
const warmUp = 300;

/** One figure. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}

/** Finds among 100,000 endpoints that a registry of its own process keeps in LMDB, asked over gRPC; and what registering costs beside them. */
export async function benchRegistry(): Promise<Figure[]> {
  using folder = newFolder();
  await fill(join(folder.path, "state"));
  const url = `unix://${folder.path}/registry.sock`;
  const identity = await siteIdentity(join(folder.path, "state"), "spiffe://default/bench");
  await using peers = new Peers({ identity, expect: anybody, log: silent, clock: systemClock, dialTimeoutMs: 2_000 });
  const started = performance.now();
  await using _registry = new Running(process.execPath, [
    ...program(),
    "--listen-on",
    url,
    "--state-dir",
    join(folder.path, "state"),
    "--admin-socket",
    `unix://${folder.path}/admin.sock`,
  ]);
  await until("the registry serves", 15_000, () => peers.health(url, AbortSignal.timeout(500)));
  const served = performance.now() - started;
  const remote = peers.endpoints(url);
  return [
    ...(await findTimes("registry-find-by-service", remote, (at) => query({ networkServiceNames: [`service-${at % services}`] }))),
    ...(await findTimes("registry-find-by-name", remote, (at) => query({ name: `endpoint-${(at * 7_919) % endpoints}` }))),
    ...(await findTimes("registry-find-by-label", remote, (at) => query(labelled(at % services, `pod-${at % perService}`)))),
    ...(await registerTimes(remote)),
    ...(await floorTimes(peers, url)),
    { name: "registry-start", value: rounded(served), unit: "ms" },
  ];
}

/** What was built, or else the sources. */
function program(): string[] {
  const root = resolve(import.meta.dirname, "../..");
  const built = join(root, "dist/registry/main.js");
  return existsSync(built) ? [built] : ["--import=tsx", join(root, "registry/main.ts")];
}

async function findTimes(name: string, registry: EndpointRegistry, asked: (at: number) => NetworkServiceEndpoint): Promise<Figure[]> {
  const times: number[] = [];
  for (let at = 0; at < warmUp + finds; at++) {
    const started = performance.now();
    let found = 0;
    for await (const _ of registry.find(asked(at), { watch: false }, { signal: AbortSignal.timeout(5_000) })) found++;
    if (at >= warmUp) times.push(performance.now() - started);
    if (found === 0) throw new Error(`${name}: query ${at} found nothing`);
  }
  return quantiles(name, times);
}

async function registerTimes(registry: EndpointRegistry): Promise<Figure[]> {
  const times: number[] = [];
  for (let at = 0; at < 500; at++) {
    const started = performance.now();
    await registry.register(example(at), { signal: AbortSignal.timeout(5_000) });
    times.push(performance.now() - started);
  }
  return quantiles("registry-register", times);
}

/** A call that asks for nothing: what gRPC and the machine take of the above. */
async function floorTimes(peers: Peers, url: string): Promise<Figure[]> {
  const times: number[] = [];
  for (let at = 0; at < finds; at++) {
    const started = performance.now();
    await peers.health(url, AbortSignal.timeout(5_000));
    times.push(performance.now() - started);
  }
  return quantiles("registry-empty-call", times);
}

function quantiles(name: string, times: readonly number[]): Figure[] {
  return [
    { name: `${name}-p50`, value: rounded(quantile(times, 0.5)), unit: "ms" },
    { name: `${name}-p99`, value: rounded(quantile(times, 0.99)), unit: "ms" },
  ];
}

/** Writes them past the registry's rules, which would take as long as it takes 100,000 clients. */
async function fill(folder: string): Promise<void> {
  await using store = openLmdbStore(folder, { clock: systemClock, log: silent });
  const lease = await store.grant(600_000);
  const writing: Promise<unknown>[] = [];
  for (let at = 0; at < endpoints; at += transactionLimit) writing.push(write(store, lease, at));
  await Promise.all(writing);
}

function write(store: Store, lease: string, from: number): Promise<unknown> {
  const count = Math.min(transactionLimit, endpoints - from);
  const writes = Array.from({ length: count }, (_, at) => {
    const one = example(from + at);
    return { op: "put" as const, key: endpointKind.prefix + one.name, value: endpointKind.encode(one), lease };
  });
  return store.commit({ writes });
}

function example(at: number): NetworkServiceEndpoint {
  const service = Math.floor(at / perService);
  return query({
    name: `endpoint-${at}`,
    networkServiceNames: [`service-${service}`],
    url: `tcp://10.101.${at % 250}.11:5001`,
    expirationTime: toTimestamp(Date.now() + 600_000),
    ...labelled(service, `pod-${at % perService}`),
  });
}

function labelled(service: number, podName: string): Partial<NetworkServiceEndpoint> {
  return { networkServiceLabels: { [`service-${service}`]: { labels: { podName } } } };
}

function query(more: Partial<NetworkServiceEndpoint>): NetworkServiceEndpoint {
  return { ...NetworkServiceEndpoint.decode(new Uint8Array()), ...more };
}
