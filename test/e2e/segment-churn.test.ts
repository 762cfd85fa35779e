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

describe("a segment whose members come and go", function () {
  this.timeout(90_000);
  let lab: Lab;
  const crowds: Crowd[] = [];

  before(async () => {
    lab = await Lab.up("te-segc", { sites: "paris=1,tokyo=1" });
    await lab.ctl("create", "segment", "square", "--layer", "l3", "--prefix", "10.63.0.0/16,fd63::/48", "--sites", "paris,tokyo");
    for (const node of ["paris-1", "tokyo-1"]) crowds.push(await Crowd.raise(lab, { node, segment: "square", count: 50 }));
    await until("tokyo knows it", 5_000, async () => (await lab.ctl("--node", "tokyo-1", "get", "services")).includes("square"));
  });

  after(async () => {
    // The programs end first: they would be busy with pods that vanish.
    await lab[Symbol.asyncDispose]();
    for (const crowd of crowds) await crowd[Symbol.asyncDispose]();
  });

  it(`has nobody in it twice and nobody cut off after a hundred pods joined and left by lot, ISTHMUS_TEST_SEED=${seed}`, async () => {
    const done = await Promise.all(crowds.map((crowd, at) => churn(crowd, { random: randomOf(seed + at), forMs, atOnce: 4 })));
    for (const { joins, leaves } of done)
      assert.ok(joins.length >= 50 && leaves.length >= 50, `${joins.length} joins, ${leaves.length} leaves`);
    // At least one is left on either side, by which the others are measured.
    await Promise.all(crowds.map((crowd) => crowd.fill(Math.max(1, crowd.members.length))));
    const members = crowds.map((crowd) => crowd.members);
    const given = members.flat().flatMap(({ addresses }) => addresses);
    assert.equal(new Set(given).size, given.length);
    for (const [here, there] of [members, members.toReversed()]) {
      const [one] = here ?? [];
      const last = there?.slice(-5).flatMap(({ addresses }) => addresses) ?? [];
      assert.ok(one !== undefined && last.length > 0);
      await until(`${one.pod} reaches the last that came elsewhere`, 5_000, async () => {
        await pingAll(lab, one.pod, last);
        return true;
      });
    }
  });

  it("leaves nothing when the last one has left", async () => {
    const signs = ["namespace", "in the kernel", "attachment", "connection", "endpoint", "on disk", "nsm0"];
    const during = await leftoversOf(lab, "square", crowds);
    for (const sign of signs)
      assert.ok(
        during.some((line) => line.includes(sign)),
        `nothing of "${sign}" is seen while there are members`,
      );
    await Promise.all(crowds.map((crowd) => crowd.empty()));
    await until("nothing is left over", 5_000, async () => {
      assert.deepEqual(await leftoversOf(lab, "square", crowds), []);
      return true;
    });
  });
});
