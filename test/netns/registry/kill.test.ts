import assert from "node:assert/strict";
import { join, resolve } from "node:path";
import type { NetworkServiceEndpoint } from "../../../api/gen/registry/registry.js";
import { silent } from "../../../core/log.js";
import { toTimestamp } from "../../../core/timestamp.js";
import { systemClock } from "../../../program/clock.js";
import { Peers } from "../../../rpc/client.js";
import { Running } from "../../lib/command.js";
import { newFolder } from "../../lib/folder.js";
import { anybody, siteIdentity } from "../../lib/siteIdentity.js";
import { until } from "../../lib/until.js";
import { endpoint, names, reading, service, serving } from "../../unit/registry/site.js";

const main = resolve(import.meta.dirname, "../../../registry/main.ts");
const alice = "spiffe://paris/node-1/alice";
const context = () => ({ signal: AbortSignal.timeout(10_000) });

describe("a registry that is killed with -9", function () {
  this.timeout(40_000);
  let folder: ReturnType<typeof newFolder>;
  let peers: Peers;
  let url: string;
  let program: Running;

  async function start(): Promise<void> {
    program = new Running(process.execPath, [
      "--import=tsx",
      main,
      "--listen-on",
      url,
      "--state-dir",
      join(folder.path, "state"),
      "--name",
      "killed",
      "--site",
      "paris",
      "--admin-socket",
      `unix://${folder.path}/admin.sock`,
    ]);
    await until("the registry serves", 15_000, () => peers.health(url, AbortSignal.timeout(500)));
  }

  beforeEach(async () => {
    folder = newFolder();
    url = `unix://${folder.path}/registry.sock`;
    const identity = await siteIdentity(join(folder.path, "state"), alice);
    peers = new Peers({ identity, expect: anybody, log: silent, clock: systemClock, dialTimeoutMs: 1_000 });
    await start();
  });
  afterEach(async () => {
    await peers[Symbol.asyncDispose]();
    await program[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
  });

  it("has everything that it acknowledged when it is back, and ends what nobody renews", async () => {
    const registry = peers.endpoints(url);
    await peers.services(url).register(service("db"), context());
    await registry.register(serving("removed", "db"), context());
    await registry.unregister(endpoint("removed"), context());
    const orphan: NetworkServiceEndpoint = { ...serving("orphan", "db"), expirationTime: toTimestamp(Date.now() + 3_000) };
    await registry.register(orphan, context());

    const acknowledged = await writeUntilKilled(peers, url, program);
    assert.ok(acknowledged.length >= 200, `${acknowledged.length} acknowledged`);

    await start();
    const found = new Set(await names(registry.find(endpoint(""), { watch: false }, context())));
    assert.deepEqual(
      acknowledged.filter((name) => !found.has(name)),
      [],
    );
    assert.equal(found.has("removed"), false);
    assert.deepEqual(await names(peers.services(url).find(service("db"), { watch: false }, context())), ["db"]);

    const watch = reading(registry.find(endpoint("orphan"), { watch: true }, context()));
    assert.equal(await watch.next(), "+orphan");
    assert.equal(await watch.next(), "-orphan");
  });
});

/** Registers endpoints, many at a time, and kills the program while it does; returns those that were acknowledged. */
async function writeUntilKilled(peers: Peers, url: string, program: Running): Promise<string[]> {
  const acknowledged: string[] = [];
  let killed: Promise<unknown> | undefined;
  const writer = async (at: number) => {
    for (let count = 0; killed === undefined; count++) {
      const name = `e-${at}-${count}`;
      await peers.endpoints(url).register(serving(name, "db"), context());
      acknowledged.push(name);
      if (acknowledged.length >= 200) killed ??= program.stop("SIGKILL");
    }
  };
  await Promise.allSettled(Array.from({ length: 16 }, (_, at) => writer(at)));
  await killed;
  return acknowledged;
}
