import assert from "node:assert/strict";
import { join, resolve } from "node:path";
import { silent } from "../../core/log.js";
import { toTimestamp } from "../../core/timestamp.js";
import { systemClock } from "../../program/clock.js";
import { Peers } from "../../rpc/client.js";
import { Running, run } from "../lib/command.js";
import { Etcd } from "../lib/etcd.js";
import { newFolder } from "../lib/folder.js";
import { anybody, siteIdentity } from "../lib/siteIdentity.js";
import { until } from "../lib/until.js";
import { endpoint, names, reading, refused, service, serving } from "../unit/registry/site.js";
import { leaderOf, took } from "./kit.js";

const main = resolve(import.meta.dirname, "../../registry/main.ts");
const alice = "spiffe://paris/node-1/alice";
const context = () => ({ signal: AbortSignal.timeout(10_000) });

describe("registries that share an etcd", function () {
  this.timeout(60_000);
  let folder: ReturnType<typeof newFolder>;
  let etcd: Etcd;
  let peers: Peers;
  let programs: Running[];
  const authority = () => join(folder.path, "authority");
  const peersOf = async (id: string) =>
    new Peers({ identity: await siteIdentity(authority(), id), expect: anybody, log: silent, clock: systemClock, dialTimeoutMs: 1_000 });
  const url = (at: number) => `unix://${folder.path}/${at}.sock`;
  const flags = (at: number) => [
    "--listen-on",
    url(at),
    "--state-dir",
    join(folder.path, `${at}`),
    "--name",
    `registry-${at}`,
    "--site",
    "paris",
    "--admin-socket",
    `unix://${folder.path}/admin-${at}.sock`,
    // Registries of one site sign with one key.
    "--ca-key-file",
    join(authority(), "ca.key"),
    "--ca-cert-file",
    join(authority(), "ca.pem"),
  ];

  async function start(at: number): Promise<Running> {
    const store = ["--store", "etcd", "--etcd-endpoints", etcd.urls.join(",")];
    const program = new Running(process.execPath, ["--import=tsx", main, ...flags(at), ...store]);
    programs.push(program);
    await until(`registry ${at} serves`, 15_000, () => peers.health(url(at), AbortSignal.timeout(500)));
    return program;
  }

  beforeEach(async () => {
    folder = newFolder();
    peers = await peersOf(alice);
    programs = [];
    etcd = await Etcd.start({ members: 3 });
  });
  afterEach(async () => {
    await peers[Symbol.asyncDispose]();
    for (const program of programs) await program[Symbol.asyncDispose]();
    await etcd[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
  });

  it("show the same, keep each name to its owner, and survive one another and etcd's leader", async () => {
    const [first] = await Promise.all([start(0), start(1)]);
    const [one, two] = [peers.endpoints(url(0)), peers.endpoints(url(1))];
    const watch = reading(two.find(endpoint(""), { watch: true }, { signal: AbortSignal.timeout(50_000) }));
    await peers.services(url(0)).register(service("db"), context());
    await one.register(serving("a", "db"), context());
    assert.equal(await watch.next(), "+a");
    assert.deepEqual(await names(peers.services(url(1)).find(service("db"), { watch: false }, context())), ["db"]);
    await using bob = await peersOf("spiffe://paris/node-2/bob");
    await refused("denied", () => bob.endpoints(url(1)).register(serving("a", "db"), context()));

    await first.stop("SIGKILL");
    await two.register(serving("b", "db"), context());
    assert.equal(await watch.next(), "+b");

    const { leader } = await leaderOf(etcd);
    await leader.kill();
    assert.ok((await took(() => two.register(serving("c", "db"), context()))) < 5_000);
    assert.equal(await watch.next(), "+c");
    assert.deepEqual(await names(two.find(endpoint(""), { watch: false }, context())), ["a", "b", "c"]);

    await start(0);
    assert.deepEqual(await names(one.find(endpoint(""), { watch: false }, context())), ["a", "b", "c"]);
  });

  it("end what nobody renews, and stop in peace while etcd is away", async () => {
    const program = await start(0);
    const brief = { ...serving("brief", "db"), expirationTime: toTimestamp(Date.now() + 2_000) };
    const watch = reading(peers.endpoints(url(0)).find(endpoint(""), { watch: true }, context()));
    await peers.endpoints(url(0)).register(brief, context());
    assert.equal(await watch.next(), "+brief");
    assert.equal(await watch.next(), "-brief");
    for (const member of etcd.members) await member.kill();
    const { code, stderr } = await program.stop("SIGTERM");
    assert.equal(code, 0, stderr);
  });

  it("refuse to start over what is not theirs, and with wrong settings, in one sentence", async () => {
    await etcd.ctl("put", "isthmus/paris/pods/web", "theirs");
    const cases: [string[], number, RegExp][] = [
      [["--store", "etcd", "--etcd-endpoints", etcd.urls[0] ?? ""], 1, /the keys under isthmus\/paris\/ in etcd are not a registry's/],
      [["--store", "etcd", "--etcd-endpoints", "nonsense"], 1, /NSM_ETCD_ENDPOINTS must be like http:\/\/host:2379/],
      [["--store", "consul"], 2, /--store is "consul"; it must be one of lmdb, memory, etcd/],
    ];
    for (const [more, code, sentence] of cases) {
      const ended = await run(process.execPath, ["--import=tsx", main, ...flags(9), ...more], { timeoutMs: 20_000 });
      assert.equal(ended.code, code, ended.stderr);
      assert.match(ended.stderr, sentence);
    }
  });
});
