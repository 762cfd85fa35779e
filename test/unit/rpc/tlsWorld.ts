import { once } from "node:events";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { type Log, silent } from "../../../core/log.js";
import type { Expected } from "../../../identity/expected.js";
import { Identity, type Showing } from "../../../identity/identity.js";
import { systemClock } from "../../../program/clock.js";
import { Peers } from "../../../rpc/client.js";
import { serve } from "../../../rpc/server.js";
import type { Services } from "../../../rpc/services.js";
import { certificate, type Made, type Wish } from "../../lib/certificates.js";
import { GivenSource, testAuthority, testIdentity } from "../../lib/identities.js";

export const serverId = "spiffe://test/node/one/nsmgr";
export const forever = new AbortController().signal;
export const minute = 60_000;
export const anybody: Expected = { matches: () => true, what: "anybody" };

/** A log whose sentences can be read. */
export function heard(): { readonly log: Log; readonly reasons: string[] } {
  const reasons: string[] = [];
  return { reasons, log: { ...silent, info: (_event, fields) => void (fields?.reason && reasons.push(String(fields.reason))) } };
}

export async function listening(services: Services = {}, identity?: Identity) {
  const { log, reasons } = heard();
  const own = identity ?? (await testIdentity(serverId, systemClock));
  const server = await serve({ urls: ["tcp://127.0.0.1:0"], services, log, hop: "h", identity: own, limits: { graceMs: 100 } });
  const url = server.urls[0] ?? "";
  return { url, port: Number(url.split(":").at(-1)), reasons, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/** Speaks TLS as somebody who is none of ours. */
export async function shake(
  port: number,
  options: ConnectionOptions = {},
): Promise<{ readonly socket: TLSSocket; readonly ended: Promise<unknown> }> {
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ALPNProtocols: ["h2"], ...options });
  const ended = new Promise((resolve) => {
    socket.once("error", resolve);
    socket.once("close", () => resolve("closed"));
  });
  await Promise.race([once(socket, "secureConnect"), ended]);
  socket.resume();
  return { socket, ended };
}

export async function clientWith(wish: Partial<Wish> & { readonly by?: Made }): Promise<Showing> {
  const now = Date.now();
  const made = await certificate({
    by: await testAuthority(),
    uris: ["spiffe://test/client"],
    from: now - minute,
    to: now + minute,
    ...wish,
  });
  const id = { text: "spiffe://test/client", trustDomain: "test", path: "/client" };
  const current = { id, chain: [made.certificate], privateKey: made.key, notBefore: now - minute, notAfter: now + 3_600_000 };
  const { bundles } = (await testIdentity(serverId, systemClock)).source;
  return new Identity({ source: new GivenSource({ svid: current, bundles }), clock: systemClock, tokenLifetimeMs: minute });
}

export function peersOf(identity: Showing, expected = anybody): Peers {
  return new Peers({ identity, expect: () => expected, log: silent, clock: systemClock, dialTimeoutMs: 2_000 });
}
