import assert from "node:assert/strict";
import { churn } from "../lib/churn.js";
import { Crowd } from "../lib/crowd.js";
import { Lab } from "../lib/lab.js";
import { leftoversOf } from "../lib/leftovers.js";
import { pingAll } from "../lib/ping.js";
import { randomOf, seedOf } from "../lib/random.js";
import { until } from "../lib/until.js";

const seed = seedOf(process.env.ISTHMUS_TEST_SEED);
const forMs = 15_000;
const segments = {
  square: { layer: "l3", prefix: "10.63.0.0/16,fd63::/48" },
  yard: { layer: "l2", prefix: "10.65.0.0/16,fd65::/48" },
} as const;

describe("an L2 and an L3 segment whose members come and go", function () {
  this.timeout(90_000);
  let lab: Lab;
  const crowds: Crowd[] = [];

  before(async () => {
    lab = await Lab.up("te-segc", { sites: "paris=1,tokyo=1" });
    for (const [segment, { layer, prefix }] of Object.entries(segments)) {
      await lab.ctl("create", "segment", segment, "--layer", layer, "--prefix", prefix, "--sites", "paris,tokyo");
      await until("tokyo knows it", 5_000, async () => (await lab.ctl("--node", "tokyo-1", "get", "services")).includes(segment));
      for (const node of ["paris-1", "tokyo-1"]) crowds.push(await Crowd.raise(lab, { node, segment, count: 25 }));
    }
  });

  after(async () => {
    // The programs end first: they would be busy with pods that vanish.
    await lab[Symbol.asyncDispose]();
    for (const crowd of crowds) await crowd[Symbol.asyncDispose]();
  });

  it(`has nobody in it twice and nobody cut off after a hundred pods joined and left by lot, ISTHMUS_TEST_SEED=${seed}`, async () => {
    const done = await Promise.all(crowds.map((crowd, at) => churn(crowd, { random: randomOf(seed + at), forMs, atOnce: 2 })));
    for (const { joins, leaves } of done)
      assert.ok(joins.length >= 25 && leaves.length >= 25, `${joins.length} joins, ${leaves.length} leaves`);
    // At least one is left on either side, by which the others are measured.
    await Promise.all(crowds.map((crowd) => crowd.fill(Math.max(1, crowd.members.length))));
    const given = crowds.flatMap(({ members }) => members).flatMap(({ addresses }) => addresses);
    assert.equal(new Set(given).size, given.length);
    for (const here of crowds) {
      const [one] = here.members;
      const there = crowds.find(({ node, segment }) => segment === here.segment && node !== here.node);
      const last = there?.members.slice(-3).flatMap(({ addresses }) => addresses) ?? [];
      assert.ok(one !== undefined && last.length > 0);
      await until(`${one.pod} reaches the last that came elsewhere`, 5_000, async () => {
        await pingAll(lab, one.pod, last);
        return true;
      });
    }
  });

  it("leaves nothing when the last one has left", async () => {
    const signs = ["namespace", "in the kernel", "attachment", "connection", "endpoint", "on disk", "nsm0"];
    const during = await leftoversOf(lab, crowds);
    for (const sign of signs)
      assert.ok(
        during.some((line) => line.includes(sign)),
        `nothing of "${sign}" is seen while there are members`,
      );
    await Promise.all(crowds.map((crowd) => crowd.empty()));
    await until("nothing is left over", 5_000, async () => {
      assert.deepEqual(await leftoversOf(lab, crowds), []);
      return true;
    });
  });
});
