import { join } from "node:path";
import { clientChain, serverChain } from "../../core/assembly.js";
import { begin } from "../../core/begin.js";
import type { Element, Handler } from "../../core/chain.js";
import { end } from "../../core/chain.js";
import { silent } from "../../core/log.js";
import { Monitor } from "../../core/monitor.js";
import { timeout } from "../../core/timeout.js";
import type { TokenSource } from "../../core/token.js";
import type { Identity } from "../../identity/identity.js";
import { Stack } from "../../nsmgr/stack.js";
import { systemClock as clock } from "../../program/clock.js";
import { Peers } from "../../rpc/client.js";
import { serve } from "../../rpc/server.js";
import { callOf, connection, tokensOf, unending } from "../lib/chainKit.js";
import { newFolder } from "../lib/folder.js";
import { testIdentity } from "../lib/identities.js";
import { type Bench, result } from "./result.js";
import { median, quantile, rounded } from "./stats.js";

/** A client and five programs: the six hops of a request across sites. */
const servers = 5;
const rounds = 7;
const requestsARound = 100;
const dialTimeoutMs = 5_000;
const anybody = { matches: () => true, what: "anybody" };

/** One hop's way to speak and what it signs; without an identity neither TLS nor a signature. */
interface Speaker {
  readonly identity?: Identity | undefined;
  readonly tokens: TokenSource;
  readonly peers: Peers;
}

async function speaker(name: string, secured: boolean): Promise<Speaker> {
  const parts = { log: silent, clock, dialTimeoutMs };
  if (!secured) return { tokens: tokensOf(name, clock), peers: new Peers(parts) };
  const identity = await testIdentity(`spiffe://bench/${name}`, clock);
  return { identity, tokens: identity.tokens, peers: new Peers({ ...parts, identity, expect: () => anybody }) };
}

function target(url: string): Element {
  return {
    name: "target",
    request: (call, next) => next.request({ ...call, target: url }),
    close: (call, next) => next.close({ ...call, target: url }),
  };
}

/** The chain that every program has, over real sockets in this process, and behind it nothing: what is left is what being asked costs. */
async function path(folder: string, secured: boolean, stack: Stack): Promise<Handler> {
  const urls = Array.from({ length: servers }, (_, at) => `unix://${join(folder, `${secured ? "secured" : "plain"}-${at}.sock`)}`);
  for (const [at, url] of urls.entries()) {
    const name = `hop-${at}`;
    const own = await speaker(name, secured);
    stack.use(own.peers);
    const begun = begin({ log: silent });
    const next = urls[at + 1];
    const handler = serverChain({
      ...{ name, tokens: own.tokens, prover: own.identity?.prover, clock, log: silent, monitor: new Monitor(), begin: begun },
      timeout: timeout({ clock, log: silent, end: (id, due) => begun.end(id, undefined, due) }),
      elements: next === undefined ? [] : [target(next)],
      tail: next === undefined ? end : own.peers.networkService(),
    });
    stack.use(await serve({ urls: [url], services: { networkService: handler }, log: silent, identity: own.identity, hop: name }));
  }
  const client = await speaker("client", secured);
  stack.use(client.peers);
  return clientChain({
    ...{ name: "client", tokens: client.tokens, log: silent, begin: begin({ log: silent }) },
    elements: [target(urls[0] as string)],
    tail: client.peers.networkService(),
  });
}

/** How long each of some requests took; each is closed before the next. */
async function times(handler: Handler, prefix: string): Promise<number[]> {
  const all: number[] = [];
  for (let at = 0; at < requestsARound; at++) {
    const started = performance.now();
    const made = await handler.request(callOf(connection({ id: `${prefix}-${at}` }), { signal: unending }));
    all.push(performance.now() - started);
    await handler.close(callOf(made, { signal: unending }));
  }
  return all;
}

async function cost() {
  await using stack = new Stack();
  const folder = stack.use(newFolder());
  const secured = await path(folder.path, true, stack);
  const plain = await path(folder.path, false, stack);
  const ratios: number[] = [];
  const all: number[] = [];
  for (let round = -1; round < rounds; round++) {
    const sides = round % 2 === 0 ? [secured, plain] : [plain, secured];
    const measured = new Map<Handler, number[]>();
    for (const side of sides) measured.set(side, await times(side, `${round}`));
    // The first round warms both sides.
    if (round < 0) continue;
    ratios.push(median(measured.get(secured) ?? []) / median(measured.get(plain) ?? []));
    all.push(...(measured.get(secured) ?? []));
  }
  const spread = [rounded(Math.min(...ratios)), rounded(Math.max(...ratios))] as const;
  const note = `six hops in one process without a kernel; p50 ${rounded(quantile(all, 0.5))} ms with mTLS and tokens`;
  return [result("request-mtls-and-tokens", rounded(median(ratios)), "ratio", undefined, { spread, note })];
}

/** What mTLS and tokens cost on a request; the product has no switch to go without them. */
export const identityCost: readonly Bench[] = [{ name: "identity", run: cost }];
