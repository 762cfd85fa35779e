import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Segment } from "../../../../api/gen/isthmus/v1/segment.js";
import { silent } from "../../../../core/log.js";
import { Identity } from "../../../../identity/identity.js";
import { systemClock } from "../../../../program/clock.js";
import { loadConfig } from "../../../../program/config.js";
import { type RegistryConfig, registrySettings } from "../../../../registry/config.js";
import { start } from "../../../../registry/start.js";
import { Peers } from "../../../../rpc/client.js";
import { GrpcTransport } from "../../../../rpc/grpc.js";
import type { Headers } from "../../../../rpc/transport.js";
import { authority, identified } from "../../../lib/certificates.js";
import { newFolder } from "../../../lib/folder.js";
import { GivenSource } from "../../../lib/identities.js";
import { anybody, siteIdentity } from "../../../lib/siteIdentity.js";
import { refused } from "../site.js";

const nsmgr = "spiffe://paris/node/paris-1/nsmgr";
const plant = Segment.fromPartial({ name: "plant", layer: "l3", prefixes: ["10.60.0.0/16"] });
const patience = () => AbortSignal.timeout(10_000);

function config(folder: string, env: Record<string, string> = {}): RegistryConfig {
  const argv = ["--site=paris", `--state-dir=${join(folder, "state")}`, `--admin-socket=unix://${folder}/admin.sock`];
  return { ...loadConfig(registrySettings, { env, argv, programName: "test" }), listenOn: ["tcp://127.0.0.1:0"] };
}

/** Paris by itself: a segment is made at the admin socket, told to a program of the site, and gives it addresses. */
async function lives(folder: string, config: RegistryConfig, identityOf: () => Promise<Identity>): Promise<void> {
  await using registry = await start(config, { clock: systemClock, log: silent });
  await using admin = new Peers({ log: silent, clock: systemClock, dialTimeoutMs: 2_000 });
  await using peers = new Peers({ identity: await identityOf(), expect: anybody, log: silent, clock: systemClock, dialTimeoutMs: 2_000 });
  const [segments, url] = [admin.segments(`unix://${folder}/admin.sock`), registry.urls[0] ?? ""];
  const told = peers.segmentFeed(url).watch(patience())[Symbol.asyncIterator]();
  assert.deepEqual((await told.next()).value?.segments, []);
  const made = await segments.apply(plant, patience());
  assert.deepEqual([made.home, made.siteBlocks[0]?.prefixes], ["paris", ["10.60.0.0/18"]]);
  assert.deepEqual((await told.next()).value?.segments, [made]);
  assert.deepEqual(await segments.list(patience()), [made]);
  const elsewhere = { ...plant, sites: ["paris", "tokyo"] };
  await refused(
    "invalid",
    () => segments.apply(elsewhere, patience()),
    /names tokyo, which paris is not joined with; it is joined with none;/,
  );
  assert.equal(await peers.blocks(url).allocate({ segment: "plant", prefix: "0.0.0.0/0", exclude: [] }, patience()), "10.60.0.0/24");
  await refused("denied", () => peers.blocks(url).release({ segment: "plant", prefix: "10.60.0.0/24", holder: `${nsmgr}/x` }, patience()));
  await peers.blocks(url).release({ segment: "plant", prefix: "10.60.0.0/24" }, patience());
  await asNsmAsks(url, await identityOf());
  const cam = { segment: "plant", name: "cam", connection: "c-1" };
  assert.deepEqual((await peers.sticky(url).claim({ ...cam, wishes: [] }, patience())).addresses, ["10.60.63.1"]);
  await peers.sticky(url).release(cam, patience());
  await segments.delete({ name: "plant", force: false }, patience());
  assert.deepEqual((await told.next()).value?.segments, []);
  await told.return?.();
}

/** Bytes as an endpoint of NSM's vl3 sends them: a request for a prefix, whichever. */
async function asNsmAsks(url: string, identity: Identity): Promise<void> {
  await using transport = new GrpcTransport({ identity, expect: anybody, clock: systemClock, dialTimeoutMs: 2_000 });
  const ask = async (bytes: readonly number[], headers: Headers = {}) => {
    async function* requests() {
      yield Uint8Array.from(bytes);
    }
    const answers: string[] = [];
    const outgoing = { signal: patience(), headers: async () => headers };
    for await (const answer of transport.duplex(url, "/ipam.IPAM/ManagePrefixes", requests(), outgoing))
      answers.push(Buffer.from(answer).toString("latin1"));
    return answers;
  };
  const allocate = [0x08, 0x01];
  await refused(
    "invalid",
    () => ask(allocate),
    /names none: name it in the metadata isthmus-segment .*; an endpoint of NSM's vl3 gets its prefix/,
  );
  assert.deepEqual(await ask(allocate, { "isthmus-segment": "plant" }), ["\x12\x0c10.60.0.0/24"]);
  const giveBack = [0x08, 0x02, 0x12, 12, ...Buffer.from("10.60.0.0/24")];
  assert.deepEqual(await ask(giveBack, { "isthmus-segment": "plant" }), ["\x12\x0c10.60.0.0/24"]);
}

describe("segments of a registry that runs", () => {
  it("are made, told, and give addresses", async () => {
    using folder = newFolder();
    await lives(folder.path, config(folder.path), () => siteIdentity(join(folder.path, "state"), nsmgr));
  });

  it("need no authority of the site's own", async () => {
    using folder = newFolder();
    const ca = await authority(Date.now());
    const { svid } = await identified(ca, "spiffe://paris/registry", Date.now());
    const file = (name: string, content: string) => {
      writeFileSync(join(folder.path, name), content, { mode: 0o600 });
      return join(folder.path, name);
    };
    const env = {
      NSM_IDENTITY: "files",
      NSM_SVID_CERT_FILE: file("c.pem", svid.chain.join("")),
      NSM_SVID_KEY_FILE: file("k.pem", svid.privateKey.export({ format: "pem", type: "pkcs8" }) as string),
      NSM_SVID_BUNDLE_FILE: file("b.pem", ca.certificate.toString()),
    };
    await lives(folder.path, config(folder.path, env), async () => {
      const own = await identified(ca, nsmgr, Date.now());
      return new Identity({ source: new GivenSource(own), clock: systemClock, tokenLifetimeMs: 600_000 });
    });
  });
});
