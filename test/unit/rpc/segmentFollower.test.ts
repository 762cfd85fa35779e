import assert from "node:assert/strict";
import { once } from "node:events";
import { Segment } from "../../../api/gen/isthmus/v1/segment.js";
import { MeshError } from "../../../core/error.js";
import { silent } from "../../../core/log.js";
import type { Link } from "../../../core/peer.js";
import { generateKey } from "../../../identity/keys.js";
import { segmentFeed } from "../../../rpc/segmentApi.js";
import { FollowedSegments, followSegments } from "../../../rpc/segmentFollower.js";
import { FakeClock } from "../../lib/fakeClock.js";
import { until } from "../../lib/until.js";

const lists = (...names: readonly string[]) => names.map((name) => Segment.fromPartial({ name }));

describe("segments that are followed", () => {
  it("are unknown until they are heard, and then stay as they were heard last", async () => {
    const clock = new FakeClock();
    let tell: (names: readonly string[]) => void = () => {};
    let asked = 0;
    await using followed = new FollowedSegments({
      async *watch() {
        asked++;
        const names = await new Promise<readonly string[]>((resolve) => {
          tell = resolve;
        });
        yield { segments: lists(...names), history: "h", revision: asked };
        throw new MeshError("unreachable", "the registry is gone");
      },
      ...{ from: "the registry", clock, log: silent },
    });
    let heard = 0;
    using _listening = followed.listen(() => heard++);
    const names = () => followed.current?.map(({ name }) => name).join();
    assert.equal(names(), undefined);
    tell(["plant"]);
    await until("it is heard", 2_000, () => names() === "plant");
    await clock.advance(199);
    assert.equal(asked, 1);
    await clock.advance(1);
    await until("it asks again", 2_000, () => asked === 2);
    assert.deepEqual([names(), heard, followed.moment], ["plant", 1, { history: "h", revision: 1 }]);
    tell([]);
    await until("it is heard that there are none", 2_000, () => names() === "");
    assert.equal(heard, 2);
  });

  it("are asked for at the next registry when one is away", async () => {
    const clock = new FakeClock();
    const asked: string[] = [];
    const segmentFeed = (url: string) => ({
      async *watch(signal: AbortSignal) {
        asked.push(url);
        if (url === "a") throw new MeshError("unreachable", "it is away");
        yield { segments: lists("plant"), history: "h", revision: 1 };
        await once(signal, "abort");
      },
    });
    await using followed = followSegments({ segmentFeed }, { from: ["a", "b"], clock, log: silent });
    await until("the first was asked", 2_000, () => asked.length === 1);
    await clock.advance(200);
    await until("the second has told", 2_000, () => followed.current?.[0]?.name === "plant");
    assert.deepEqual(asked, ["a", "b"]);
  });
});

describe("segments that are told", () => {
  const current = lists("plant");
  const source = { current, moment: { history: "h", revision: 7 }, listen: () => ({ [Symbol.dispose]: () => {} }) };
  const linkOf = (id: string): Link => ({
    ...{ peer: { id, publicKey: generateKey().publicKey }, self: "spiffe://paris/registry" },
    tokens: () => assert.fail("nobody signs here"),
  });

  it("are told to programs of the own site, and to nobody else", async () => {
    const stop = new AbortController();
    const first = segmentFeed(source).watch(stop.signal, linkOf("spiffe://paris/node/a/forwarder"))[Symbol.asyncIterator]();
    assert.deepEqual((await first.next()).value, { segments: current, history: "h", revision: 7 });
    stop.abort();
    assert.equal((await first.next()).done, true);
    const stranger = segmentFeed(source).watch(stop.signal, linkOf("spiffe://tokyo/registry"))[Symbol.asyncIterator]();
    await assert.rejects(stranger.next(), {
      code: "denied",
      message: "spiffe://tokyo/registry is of another site; this site's segments are told to its own programs only",
    });
  });
});
