import assert from "node:assert/strict";
import type { Connection } from "../../../api/gen/connection/connection.js";
import { chain, type Element } from "../../../core/chain.js";
import { withContext, withIpContext } from "../../../core/context.js";
import { excludedByOthers, excludedPrefixes, usedPrefixes } from "../../../core/excluded.js";
import { hop } from "../../../core/hop.js";
import { PrefixBag } from "../../../core/ipam/prefixBag.js";
import { clientInfo } from "../../../core/labels.js";
import { mtu } from "../../../core/mtu.js";
import { ownSegment } from "../../../core/path.js";
import { DOWN, RESELECT_REQUESTED, UP } from "../../../core/states.js";
import { up } from "../../../core/up.js";
import { callOf, connection, failsWith, tailOf } from "../../lib/chainKit.js";
import { FakeClock } from "../../lib/fakeClock.js";

async function through(elements: Element[], conn: Connection, answer?: Parameters<typeof tailOf>[0]) {
  const tail = tailOf(answer);
  const back = await chain(elements, tail).request(callOf(conn));
  return { asked: tail.requests[0]?.connection ?? conn, back };
}

describe("mtu", () => {
  const cases: [string, number, number, number[]][] = [
    ["sets it where nobody has", 0, 1400, [1400]],
    ["lowers it", 9000, 1400, [1400]],
    ["never raises it", 1300, 1400, [1400]],
    ["lets the smallest of several win", 9000, 1280, [1500, 1280, 1400]],
  ];
  for (const [what, before, expected, limits] of cases)
    it(what, async () => {
      const { back } = await through(limits.map(mtu), withContext(connection(), { MTU: before }));
      assert.equal(back.context?.MTU, Math.min(expected, before || expected));
    });

  it("makes a context where there is none, and keeps what is in one", async () => {
    assert.equal((await through([mtu(1400)], connection())).back.context?.MTU, 1400);
    const { back } = await through([mtu(1400)], withContext(connection(), { extraContext: { a: "b" } }));
    assert.deepEqual(back.context?.extraContext, { a: "b" });
  });
});

describe("excludedPrefixes", () => {
  const excludedIn = (conn: Connection) => conn.context?.ipContext?.excludedPrefixes;

  it("adds to what the client excludes, each once", async () => {
    const conn = withIpContext(connection(), { excludedPrefixes: ["10.0.0.0/8"] });
    const { asked } = await through([excludedPrefixes(() => ["10.0.0.0/8", "172.16.0.0/12"])], conn);
    assert.deepEqual(excludedIn(asked), ["10.0.0.0/8", "172.16.0.0/12"]);
  });

  it("takes those of now", async () => {
    let now: string[] = [];
    const element = excludedPrefixes(() => now);
    assert.equal(excludedIn((await through([element], connection())).asked), undefined);
    now = ["10.0.0.0/8"];
    assert.deepEqual(excludedIn((await through([element], connection())).asked), ["10.0.0.0/8"]);
  });
});

describe("excludedByOthers", () => {
  const other = withIpContext(connection({ id: "c2" }), {
    srcIpAddrs: ["172.16.1.1/32"],
    srcRoutes: [
      { prefix: "172.16.1.0/32", nextHop: "" },
      { prefix: "0.0.0.0/0", nextHop: "" },
    ],
  });

  it("excludes what the client's other connections use, but no default route", async () => {
    const { asked } = await through(
      [excludedByOthers(() => new PrefixBag([...usedPrefixes(other), ...usedPrefixes(other)]))],
      connection(),
    );
    assert.deepEqual(asked.context?.ipContext?.excludedPrefixes, ["172.16.1.0/31"]);
  });

  it("refuses an answer that uses it all the same", async () => {
    const clashing = (srcIpAddrs: string[]) =>
      through([excludedByOthers(() => new PrefixBag(usedPrefixes(other)))], connection(), ({ connection: conn }) =>
        withIpContext(conn, { srcIpAddrs }),
      );
    await failsWith(
      "conflict",
      "intranet gave 172.16.1.1/32, which another connection of the client has already",
      clashing(["172.16.1.1/32"]),
    );
    await clashing(["172.16.1.2/32"]);
    await clashing([]);
  });
});

describe("clientInfo", () => {
  it("adds labels where the client has not set them", async () => {
    const { asked } = await through(
      [clientInfo({ nodeName: "one", podName: "p" })],
      connection({ labels: { nodeName: "mine", app: "web" } }),
    );
    assert.deepEqual(asked.labels, { nodeName: "mine", podName: "p", app: "web" });
  });
});

describe("up", () => {
  it("asks and answers state UP", async () => {
    for (const state of [DOWN, RESELECT_REQUESTED]) {
      const { asked, back } = await through([up()], connection({ state }), ({ connection: conn }) => ({ ...conn, state: DOWN }));
      assert.equal(asked.state, UP);
      assert.equal(back.state, UP);
    }
  });
});

describe("hop", () => {
  it("says who it is and how long it took from here on", async () => {
    const clock = new FakeClock();
    const element = hop({ program: "nsmgr", node: "paris-1", site: "paris", clock });
    const { back } = await through([element], connection({}, ["client/c1", "nsmgr/n1"], 1), async ({ connection: conn }) => {
      await clock.advance(12.5);
      return conn;
    });
    assert.deepEqual(ownSegment(back).metrics, {
      "isthmus.program": "nsmgr",
      "isthmus.node": "paris-1",
      "isthmus.site": "paris",
      "isthmus.ms": "12.50",
    });
  });
});

describe("chain", () => {
  it("runs the first element outermost, and lets those through that leave a method out", async () => {
    const lines: string[] = [];
    const says = (name: string): Element => ({
      name,
      request: async (call, next) => {
        lines.push(`in ${name}`);
        const conn = await next.request(call);
        lines.push(`out ${name}`);
        return conn;
      },
    });
    const handler = chain([says("a"), { name: "silent" }, says("b")]);
    await handler.request(callOf(connection()));
    await handler.close(callOf(connection()));
    assert.deepEqual(lines, ["in a", "in b", "out b", "out a"]);
  });
});
