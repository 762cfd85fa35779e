import assert from "node:assert/strict";
import { cpSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { nodeFiles } from "../../cli/lab/files.js";
import { check } from "../lib/command.js";
import { Crowd, type Member } from "../lib/crowd.js";
import { cutLine, mendLine } from "../lib/cut.js";
import { inParallel } from "../lib/inParallel.js";
import { Lab } from "../lib/lab.js";
import { bare } from "../lib/ping.js";
import { type Random, randomOf, seedOf } from "../lib/random.js";
import { until } from "../lib/until.js";

const nodes = ["paris-1", "paris-2", "tokyo-1", "tokyo-2"] as const;
/** Members of each node: one before the line is cut, the others while it is. */
const early = 1;
const late = 100;
const pairs = 500;
/** After the line is mended, until any two nodes carry each other's packets, and until all pairs have been tried. */
const mendedMs = 15_000;
const allMs = 30_000;
const seed = seedOf(process.env.ISTHMUS_TEST_SEED);

describe("a segment of two sites that are cut from each other", function () {
  this.timeout(120_000);
  let lab: Lab;
  const crowds: Crowd[] = [];

  before(async () => {
    lab = await Lab.up("te-segp", { sites: "paris=2,tokyo=2" });
    // Of a size with which each node needs more than one block for its members.
    await lab.ctl("create", "segment", "grid", "--layer", "l3", "--prefix", "10.62.0.0/20,fd62::/48", "--sites", "paris,tokyo");
    for (const node of nodes) crowds.push(await Crowd.raise(lab, { node, segment: "grid", count: early + late }));
    await until("tokyo knows it", 5_000, async () => (await lab.ctl("--node", "tokyo-1", "get", "services")).includes("grid"));
  });

  after(async () => {
    // The programs end first: they would be busy with pods that vanish.
    await lab[Symbol.asyncDispose]();
    for (const crowd of crowds) await crowd[Symbol.asyncDispose]();
  });

  const all = (): Member[] => crowds.flatMap((crowd) => crowd.members);
  const state = async (of: string, registry: string) => {
    const { sites } = await lab.json<{ sites: { name: string; state: string }[] }>("site", "list", "--registry", registry);
    return sites.find(({ name }) => name === of)?.state;
  };

  /** What the registry of paris keeps; its authority lies beside it. */
  const store = () => join(nodeFiles(lab.prefix, "paris-1").state("registry"), "store");
  const exchangeStore = async (exchange: () => void) => {
    await lab.ctl("lab", "kill", "paris-1/registry");
    exchange();
    await lab.ctl("lab", "start", "paris-1/registry");
  };
  /** `10.62.1.0/26 paris-1`, for what nodes of paris have; those that are registered. */
  const blocks = async () => {
    const found = await lab.json<{ prefix: string; node: string; registered: boolean }[]>("get", "blocks", "grid", "--registry", "paris");
    return found.flatMap(({ prefix, node, registered }) => (registered ? [`${prefix} ${node.split("/")[4]}`] : [])).sort();
  };
  /** Nobody has ended, or has other addresses, and the newest members of all nodes reach each other. */
  const mustBeAllThere = async () => {
    const newest = crowds.map((crowd) => crowd.members.at(-1) as Member);
    for (const crowd of crowds) {
      const attachments = await crowd.client.listAttachments(new AbortController().signal);
      const addresses = attachments.flatMap(({ connection }) => connection?.context?.ipContext?.srcIpAddrs.map(bare) ?? []);
      assert.deepEqual(addresses.sort(), crowd.members.flatMap((member) => member.addresses).sort());
    }
    await until("the newest reach each other", 15_000, async () => (await unreached(lab, everyPair(newest))).length === 0);
  };

  it("is one before", async () => {
    await Promise.all(crowds.map((crowd) => crowd.fill(early)));
    const first = all();
    await until("all reach each other", 10_000, async () => (await unreached(lab, everyPair(first))).length === 0);
    await exchangeStore(() => cpSync(store(), `${store()}-early`, { recursive: true }));
  });

  it("lets 200 members join in each while the line is cut", async () => {
    const [one, , other] = all();
    await cutLine(lab);
    assert.ok(one !== undefined && other !== undefined && siteOf(one) !== siteOf(other));
    assert.equal((await unreached(lab, [[one, other]])).length, 1, "nothing crosses");
    await Promise.all(crowds.map((crowd) => crowd.fill(early + late, 4)));
    await until(
      "both sites have noticed",
      10_000,
      async () => (await state("tokyo", "paris")) === "away" && (await state("paris", "tokyo")) === "away",
    );
    const [paris, tokyo] = ["paris", "tokyo"].map((site) => all().filter((member) => siteOf(member) === site));
    assert.deepEqual([paris?.length, tokyo?.length], [2 * (early + late), 2 * (early + late)]);
    for (const { members } of crowds) assert.notEqual(blockOf(members.at(-1)), blockOf(members[0]), "each node needed another block");
  });

  it(`is one again when it is mended: ${pairs} pairs reach each other, ISTHMUS_TEST_SEED=${seed}`, async () => {
    const members = all();
    const random = randomOf(seed);
    // Those whose blocks the other site has never heard of.
    const newest = crowds.map((crowd) => crowd.members.at(-1) as Member);
    await mendLine(lab);
    const mended = performance.now();
    await until("any two nodes carry each other's packets", mendedMs, async () => (await unreached(lab, everyPair(newest))).length === 0);
    const sample = Array.from({ length: pairs }, () => drawPair(members, random));
    const crossing = sample.filter(([a, b]) => siteOf(a) !== siteOf(b)).length;
    assert.ok(crossing > pairs / 4 && crossing < (pairs * 3) / 4, `${crossing} of ${pairs} cross`);
    assert.deepEqual(await unreached(lab, sample), []);
    const took = performance.now() - mended;
    assert.ok(took <= allMs, `it took ${Math.round(took)} ms`);
  });

  it("has given no address twice, and the kernels have what was answered", async () => {
    const members = all();
    const given = members.flatMap(({ addresses }) => addresses);
    assert.equal(given.length, 2 * nodes.length * (early + late));
    assert.equal(new Set(given).size, given.length);
    const inPods = await Promise.all(crowds.map((crowd) => podAddresses(crowd)));
    assert.deepEqual(inPods.flat().sort(), given.toSorted());
    const routed = await Promise.all(nodes.map((node) => routedTo(lab, node)));
    assert.deepEqual(routed.flat().sort(), given.toSorted());
  });

  it("has the blocks again that an administrator took from a node which is there", async () => {
    const before = await blocks();
    assert.ok(before.length >= 6, before.join());
    const refused = await lab.tryCtl("delete", "blocks", "grid", "paris-2", "--registry", "paris");
    assert.match(refused.stderr, /paris-2\/forwarder is registered, so paris-2 gives addresses of the segment grid to members/);
    await lab.ctl("delete", "blocks", "grid", "paris-2", "--registry", "paris", "--force");
    await until("paris-2 has asked for them again", 10_000, async () => (await blocks()).join() === before.join());
    await mustBeAllThere();
  });

  it("goes on when a registry comes back as it was before most members joined", async () => {
    const before = await blocks();
    await exchangeStore(() => {
      rmSync(store(), { recursive: true });
      renameSync(`${store()}-early`, store());
    });
    await until("all blocks are its nodes' again", 20_000, async () => (await blocks()).join() === before.join());
    await mustBeAllThere();
  });

  it("goes on when a registry comes back with nothing", async () => {
    await exchangeStore(() => rmSync(store(), { recursive: true }));
    const log = nodeFiles(lab.prefix, "paris-2").log("forwarder");
    await until("paris-2 has heard of it", 10_000, () =>
      readFileSync(log, "utf8").includes("segments kept that the registry has forgotten"),
    );
    assert.deepEqual(await lab.json("get", "segments", "--registry", "paris"), []);
    await mustBeAllThere();
  });
});

function siteOf({ node }: Member): string {
  return node.replace(/-\d+$/, "");
}

/** Of 64 addresses, as nodes get them here. */
function blockOf(member: Member | undefined): string {
  const [, network, host] = /^(.*)\.(\d+)$/.exec(member?.addresses[0] ?? "") ?? [];
  return `${network}.${Number(host) & ~63}`;
}

type Pair = readonly [from: Member, to: Member];

function everyPair(members: readonly Member[]): Pair[] {
  return members.flatMap((from) => members.flatMap((to): Pair[] => (from === to ? [] : [[from, to]])));
}

function drawPair(members: readonly Member[], random: Random): Pair {
  const draw = () => members[Math.floor(random() * members.length)] as Member;
  const from = draw();
  for (;;) {
    const to = draw();
    if (to !== from) return [from, to];
  }
}

/** Those of the pairs that do not reach each other by all addresses. */
async function unreached(lab: Lab, sample: readonly Pair[]): Promise<string[]> {
  const missed: string[] = [];
  await inParallel(sample.length, 8, async (at) => {
    const [from, to] = sample[at] as Pair;
    const script = 'for to; do ping -n -q -c 1 -W 1 "$to" >/dev/null || exit 1; done';
    const { code } = await lab.tryExec(`pod-${from.pod}`, "sh", "-c", script, "sh", ...to.addresses);
    if (code !== 0) missed.push(`${from.pod} to ${to.pod}`);
  });
  return missed;
}

/** What the pods of a node have on their interfaces, without length. */
async function podAddresses(crowd: Crowd): Promise<string[]> {
  const script = 'for name; do ip -o -n "$name" address show dev nsm0 scope global; done';
  const text = await check("sh", ["-c", script, "sh", ...crowd.pods.map((pod) => crowd.namespace(pod))]);
  return [...text.matchAll(/ inet6? (\S+)\//g)].map(([, address = ""]) => address);
}

/** The addresses for which a node has the port of a member of its own. */
async function routedTo(lab: Lab, node: string): Promise<string[]> {
  const text = await Promise.all(["-4", "-6"].map((family) => lab.exec(`${node}-seg-grid`, "ip", family, "route")));
  return [...text.join("").matchAll(/^([0-9a-f.:]+) dev ism/gm)].map(([, address = ""]) => address);
}
