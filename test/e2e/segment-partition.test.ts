import assert from "node:assert/strict";
import type { Attachment } from "../../api/gen/isthmus/v1/node.js";
import { check } from "../lib/command.js";
import { Crowd } from "../lib/crowd.js";
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

/** The two sites hear nothing of each other, as when a line between them is cut. */
const cut = `table inet cut {
  chain forward {
    type filter hook forward priority 0
    ip saddr 10.101.0.0/24 ip daddr 10.102.0.0/24 drop
    ip saddr 10.102.0.0/24 ip daddr 10.101.0.0/24 drop
  }
}`;

interface Member {
  readonly pod: string;
  readonly site: string;
  /** Without length, IPv4 first. */
  readonly addresses: readonly string[];
}

describe("a segment of two sites that are cut from each other", function () {
  this.timeout(120_000);
  let lab: Lab;
  const crowds: Crowd[] = [];

  before(async () => {
    lab = await Lab.up("te-segp", { sites: "paris=2,tokyo=2" });
    // Of the size that each node needs more than one block for its members.
    await lab.ctl("create", "segment", "grid", "--layer", "l3", "--prefix", "10.62.0.0/20,fd62::/48", "--sites", "paris,tokyo");
    for (const node of nodes) crowds.push(await Crowd.raise(lab, { node, segment: "grid", count: early + late }));
    await until("tokyo knows it", 5_000, async () => (await lab.ctl("--node", "tokyo-1", "get", "services")).includes("grid"));
  });

  after(async () => {
    // The programs end first: they would be busy with pods that vanish.
    await lab[Symbol.asyncDispose]();
    for (const crowd of crowds) await crowd[Symbol.asyncDispose]();
  });

  const all = (): Member[] => crowds.flatMap((crowd) => [...crowd.members].map(([pod, joined]) => memberOf(crowd.node, pod, joined)));
  const state = async (of: string, registry: string) => {
    const { sites } = await lab.json<{ sites: { name: string; state: string }[] }>("site", "list", "--registry", registry);
    return sites.find(({ name }) => name === of)?.state;
  };

  it("is one before", async () => {
    await Promise.all(crowds.map((crowd) => crowd.fill(early)));
    const first = all();
    await until("all reach each other", 10_000, async () => (await unreached(lab, everyPair(first))).length === 0);
  });

  it("lets 200 members join in each while the line is cut", async () => {
    const [one, , other] = all();
    await lab.exec("wan", "nft", cut);
    assert.ok(one !== undefined && other !== undefined && one.site !== other.site);
    assert.equal((await unreached(lab, [[one, other]])).length, 1, "nothing crosses");
    await Promise.all(crowds.map((crowd) => crowd.fill(early + late, 4)));
    assert.deepEqual(
      await Promise.all([state("tokyo", "paris"), state("paris", "tokyo")]),
      ["away", "away"],
      "all of that was during the cut",
    );
    const [paris, tokyo] = ["paris", "tokyo"].map((site) => all().filter((member) => member.site === site));
    assert.deepEqual([paris?.length, tokyo?.length], [2 * (early + late), 2 * (early + late)]);
  });

  it(`is one again when it is mended: ${pairs} pairs reach each other, ISTHMUS_TEST_SEED=${seed}`, async () => {
    const members = all();
    const random = randomOf(seed);
    // The last ones that came on each node, whose blocks the other site has never heard of.
    const newest = crowds.map((crowd) => members.findLast(({ pod }) => pod.startsWith(crowd.node)) as Member);
    await lab.exec("wan", "nft", "delete table inet cut");
    const mended = performance.now();
    await until("any two nodes carry each other's packets", mendedMs, async () => (await unreached(lab, everyPair(newest))).length === 0);
    const sample = Array.from({ length: pairs }, () => drawPair(members, random));
    const crossing = sample.filter(([a, b]) => a.site !== b.site).length;
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
});

function memberOf(node: string, pod: string, { connection }: Attachment): Member {
  const addresses = connection?.context?.ipContext?.srcIpAddrs.map(bare) ?? [];
  return { pod, site: node.replace(/-\d+$/, ""), addresses };
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
