import assert from "node:assert/strict";
import { abandonment } from "../../../core/abandon.js";
import { chain } from "../../../core/chain.js";
import { MeshError } from "../../../core/error.js";
import { silent } from "../../../core/log.js";
import { callOf, connection, failOnce, failsWith, pathText, settled, tailOf } from "../../lib/chainKit.js";

const first = connection({}, ["client/c1", "nsmgr/n1"], 1);
const known = connection({}, ["client/c1", "nsmgr/n1", "forwarder/f1"], 1);

describe("abandonment", () => {
  it("tells a new next hop to close when the caller gave up while it was asked", async () => {
    const patience = new AbortController();
    const dial = tailOf(() => {
      patience.abort();
      throw new MeshError("cancelled", "the caller went away");
    });
    const { element, tail } = abandonment(dial, silent);
    await failsWith(
      "cancelled",
      "went away",
      chain([element], tail).request(callOf(first, { signal: patience.signal, target: "tcp://next" })),
    );
    await settled();
    assert.equal(pathText(dial.closes[0]?.connection ?? known), "client/c1 [nsmgr/n1]");
    assert.equal(dial.closes[0]?.target, "tcp://next");
    assert.equal(dial.closes[0]?.signal.aborted, false);
  });

  it("tells a new next hop to close when its answer never came, and bears that it does not answer that either", async () => {
    const dial = tailOf(() => Promise.reject(new MeshError("unreachable", "reset")));
    let told = 0;
    dial.close = () => {
      told++;
      return Promise.reject(new MeshError("unreachable", "reset"));
    };
    const { element, tail } = abandonment(dial, silent);
    await failsWith("unreachable", "reset", chain([element], tail).request(callOf(first)));
    await settled();
    assert.equal(told, 1);
  });

  it("tells a new next hop to close whose answer is none that can be taken, and not one to which our request was none", async () => {
    for (const [hop, closes] of [
      [undefined, 1],
      ["next", 0],
    ] as const) {
      const dial = tailOf(() => Promise.reject(new MeshError("invalid", "the labels has 129 entries", { hop })));
      const { element, tail } = abandonment(dial, silent);
      await failsWith("invalid", "129 entries", chain([element], tail).request(callOf(first)));
      await settled();
      assert.equal(dial.closes.length, closes);
    }
  });

  it("does not close one that said no, nor one that has had the connection", async () => {
    const dial = tailOf(() => Promise.reject(new MeshError("no-endpoint", "nobody")));
    const { element, tail } = abandonment(dial, silent);
    await failsWith("no-endpoint", "nobody", chain([element], tail).request(callOf(first)));
    await failsWith("no-endpoint", "nobody", chain([element], tail).request(callOf(known, { signal: AbortSignal.abort() })));
    await settled();
    assert.equal(dial.closes.length, 0);
  });

  it("closes a new next hop when a reselect fails after it was reached", async () => {
    const dial = tailOf(() => known);
    const { element, tail } = abandonment(dial, silent);
    const fail = failOnce("back");
    fail.arm();
    const handler = chain([element, fail], tail);
    await failsWith("kernel", "refused", handler.request(callOf(first, { established: true, target: "tcp://next" })));
    assert.equal(pathText(dial.closes[0]?.connection ?? first), "client/c1 [nsmgr/n1] forwarder/f1");
    await handler.request(callOf(first, { established: true }));
    assert.equal(dial.closes.length, 1);
  });

  it("keeps a next hop of before when a refresh fails after it was reached", async () => {
    const dial = tailOf();
    const { element, tail } = abandonment(dial, silent);
    const fail = failOnce("back");
    fail.arm();
    await failsWith("kernel", "refused", chain([element, fail], tail).request(callOf(known, { established: true })));
    assert.equal(dial.closes.length, 0);
  });

  it("does not close twice what the chain has closed already", async () => {
    const dial = tailOf(() => known);
    const { element, tail } = abandonment(dial, silent);
    const handler = chain(
      [
        element,
        {
          name: "closing",
          async request(call, next) {
            const conn = await next.request(call);
            await next.close({ ...call, connection: conn });
            throw new MeshError("denied", "not protected");
          },
        },
      ],
      tail,
    );
    await failsWith("denied", "not protected", handler.request(callOf(first, { established: true })));
    assert.equal(dial.closes.length, 1);
  });

  it("refuses an answer about another connection", async () => {
    const { tail } = abandonment(
      tailOf(() => connection({}, ["client/c1", "nsmgr/n2"], 1)),
      silent,
    );
    await failsWith("invalid", 'another connection than "n1"', tail.request(callOf(first)));
  });

  it("puts id and index right, which a next hop may have left at its own", async () => {
    const { tail } = abandonment(
      tailOf(() => ({ ...known, id: "f1", path: { index: 2, pathSegments: known.path?.pathSegments ?? [] } })),
      silent,
    );
    const answer = await tail.request(callOf(first));
    assert.equal(answer.id, "n1");
    assert.equal(answer.path?.index, 1);
  });
});
