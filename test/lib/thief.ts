import { readFileSync } from "node:fs";
import { Connection } from "../../api/gen/connection/connection.js";
import { NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import { asMeshError } from "../../core/error.js";
import { silent } from "../../core/log.js";
import { parsePem } from "../../identity/certificate.js";
import { Identity } from "../../identity/identity.js";
import { parseKey, svidOf } from "../../identity/svid.js";
import { systemClock } from "../../program/clock.js";
import { Peers } from "../../rpc/client.js";
import { GivenSource } from "./identities.js";
import { anybody } from "./siteIdentity.js";
import { makeToken } from "./tokenMaker.js";

/** What somebody has who broke into a node, and what it knows of another site. */
export interface Loot {
  /** identity.json of the node's nsmgr. */
  readonly identityFile: string;
  /** Of each trust domain, the file with its authorities, which are no secret. */
  readonly authorities: Readonly<Record<string, string>>;
  readonly registry: string;
  /** The connection of others that it is after, as protobuf in base64. */
  readonly connection: string;
  /** Hops of it that can be reached, and their place in its path. */
  readonly hops: readonly { readonly url: string; readonly at: number }[];
}

export interface Attempt {
  /** `close connection`… */
  readonly what: string;
  readonly url: string;
  /** `done` when nobody stopped it. */
  readonly code: string;
  readonly message: string;
}

/** Tries everything, and prints what came of it as a list of Attempts. Runs in the network namespace of the node that it has broken into. */
async function steal({ identityFile, authorities, registry, connection: text, hops }: Loot): Promise<Attempt[]> {
  const { key, chain } = JSON.parse(readFileSync(identityFile, "utf8")) as { readonly key: string; readonly chain: string };
  const svid = svidOf(parsePem(chain, identityFile), parseKey(key, identityFile));
  const bundles = new Map(Object.entries(authorities).map(([domain, file]) => [domain, parsePem(readFileSync(file, "utf8"), file)]));
  const identity = new Identity({ source: new GivenSource({ svid, bundles }), clock: systemClock, tokenLifetimeMs: 600_000 });
  const connection = Connection.decode(Buffer.from(text, "base64"));
  const segments = connection.path?.pathSegments ?? [];
  await using peers = new Peers({ identity, expect: anybody, log: silent, clock: systemClock, dialTimeoutMs: 5_000 });
  const attempts: Attempt[] = [];
  const { signal } = new AbortController();
  const attempt = async (what: string, url: string, task: () => Promise<unknown>) => {
    const failure = await task().then(
      () => ({ code: "done", message: "" }),
      (error: unknown) => asMeshError(error),
    );
    attempts.push({ what, url, code: failure.code, message: failure.message });
  };
  const end = async (stream: AsyncIterable<unknown>) => {
    for await (const _ of stream) return;
  };
  const mine = NetworkServiceEndpoint.fromPartial({
    ...{ name: "mine", url: "tcp://10.103.0.11:5001", networkServiceNames: [connection.networkService] },
  });
  /** As the hop there has the connection, with the thief in the place of the hop before. */
  const asIf = (at: number) =>
    Connection.fromPartial({ ...connection, id: segments[at - 1]?.id ?? "", path: { index: at - 1, pathSegments: segments } });
  const victim = segments[0]?.name ?? "";
  const pod = `spiffe://${Object.keys(authorities)[0]}/node/paris-1/nsmgr/isthmus-pod/${victim}`;
  const exp = systemClock.now() / 1000 + 60;
  const inTheirName = (token: string) => {
    const path = {
      index: 1,
      pathSegments: [
        { name: victim, id: "stolen-1", token },
        { name: "thief", id: "stolen-2" },
      ],
    };
    return Connection.fromPartial({ id: "stolen-2", networkService: connection.networkService, path });
  };

  for (const url of [registry, ...hops.map((hop) => hop.url)]) {
    await attempt("register", url, () => peers.endpoints(url).register(mine, { signal }));
    await attempt("find", url, () => end(peers.endpoints(url).find({ ...mine, name: "", url: "" }, { watch: false }, { signal })));
  }
  for (const { url, at } of hops) {
    const touch = { connection: asIf(at), preferences: [], signal, target: url };
    const selector = {
      pathSegments: [{ name: "", id: segments[at]?.id ?? "", token: "", expires: undefined, metrics: {} }],
      networkServices: [],
    };
    await attempt("close", url, () => peers.networkService().close(touch));
    await attempt("change", url, () => peers.networkService().request(touch));
    await attempt("watch", url, () => end(peers.monitor(url, selector, signal)));
    for (const x5c of [undefined, []]) {
      const token = makeToken({ sub: pod, aud: [identity.id], exp }, svid, x5c && { x5c });
      const asked = { connection: inTheirName(token), preferences: [], signal, target: url };
      await attempt("act for a pod", url, () => peers.networkService().request(asked));
    }
  }
  return attempts;
}

// A channel that still connects does not keep the process alive by itself.
const alive = setInterval(() => {}, 60_000);
process.stdout.write(JSON.stringify(await steal(JSON.parse(process.argv[2] ?? "") as Loot)));
clearInterval(alive);
