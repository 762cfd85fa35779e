import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import type { PolicyInForce } from "../../../api/gen/isthmus/v1/policy.js";
import { silent } from "../../../core/log.js";
import { builtIn, HeldPolicy } from "../../../identity/policy/inForce.js";
import { policyFeed } from "../../../rpc/policyFeed.js";
import { FollowedPolicy } from "../../../rpc/policyFollower.js";
import { FakeClock } from "../../lib/fakeClock.js";
import { MemoryAudit } from "../../lib/mesh/audit.js";
import { until } from "../../lib/until.js";

describe("a policy that is followed", () => {
  it("holds although it cannot be kept", async () => {
    const clock = new FakeClock();
    const next: PolicyInForce = { text: "allow: []\n", version: 7 };
    await using followed = new FollowedPolicy({
      async *watch() {
        yield next;
      },
      from: "the registry",
      kept: {
        read: () => undefined,
        write: () => {
          throw new Error("no space left on device");
        },
      },
      fallback: builtIn("paris"),
      ...{ clock, log: silent, audit: new MemoryAudit(clock) },
    });
    await until("it holds", 2_000, () => followed.current.version === 7);
    assert.deepEqual(followed.current.policy.rules, []);
  });
});

describe("a policy that is told", () => {
  it("hangs no more on its reader's signal with every change", async () => {
    const held = new HeldPolicy(builtIn("paris"));
    const reader = new AbortController();
    const told = policyFeed(held).watch(reader.signal)[Symbol.asyncIterator]();
    assert.equal((await told.next()).value?.version, 0);
    for (let version = 1; version <= 20; version++) {
      const answer = told.next();
      await Promise.resolve();
      held.set({ ...held.current, version });
      assert.equal((await answer).value?.version, version);
    }
    assert.ok(getEventListeners(reader.signal, "abort").length <= 1);
    const last = told.next();
    reader.abort();
    assert.equal((await last).done, true);
  });
});
