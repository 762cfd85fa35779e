import type { Authorities, IssuedIdentity } from "../api/gen/isthmus/v1/identity.js";
import type { Clock } from "../core/clock.js";
import type { Bundles } from "../identity/bundles.js";
import type { AuthorityClient, Granted } from "../identity/ca/member.js";
import { parseDer } from "../identity/certificate.js";
import type { Showing } from "../identity/identity.js";
import { Caller } from "./caller.js";
import { GrpcTransport } from "./grpc.js";
import { identityMethods, type Method } from "./methods.js";

const dialTimeoutMs = 5_000;
const patienceMs = 15_000;
/** Who answers is known by the authority that signed it: no other program would be given this method. */
const anybody = { matches: () => true, what: "a registry" };

/** The site's authority over gRPC; each call has a connection of its own, for each may show something else. */
export function authorityClient(clock: Clock): AuthorityClient {
  async function ask<Q>(
    url: string,
    showing: Showing,
    method: Method<Q, IssuedIdentity>,
    request: Q,
    signal: AbortSignal,
  ): Promise<Granted> {
    await using transport = new GrpcTransport({ clock, dialTimeoutMs, identity: showing, expect: () => anybody });
    return granted(await new Caller(transport).unary(url, method, request, { signal, patienceMs }));
  }
  return {
    join: (url, showing, { program, node, token }, signal) => {
      const request = { program, node, invitation: token?.invitation ?? "", secret: Buffer.from(token?.secret ?? []) };
      return ask(url, showing, identityMethods.join, request, signal);
    },
    renew: (url, showing, publicKey, signal) => ask(url, showing, identityMethods.renew, { publicKey: Buffer.from(publicKey) }, signal),
    async *followTrust(url, showing, signal) {
      await using transport = new GrpcTransport({ clock, dialTimeoutMs, identity: showing, expect: () => anybody });
      for await (const told of new Caller(transport).stream(url, identityMethods.followTrust, {}, { signal })) yield trusted(told.bundles);
    },
  };
}

function granted({ chain, bundles }: IssuedIdentity): Granted {
  return { chain: parseDer(chain, "what the registry gave"), bundles: trusted(bundles) };
}

function trusted(bundles: Readonly<Record<string, Authorities>>): Bundles {
  return new Map(Object.entries(bundles).map(([domain, { certificates }]) => [domain, parseDer(certificates, `the bundle of ${domain}`)]));
}
