import assert from "node:assert/strict";
import { NetworkServiceEndpoint } from "../../../../api/gen/registry/registry.js";
import { silent } from "../../../../core/log.js";
import { farewellLabels, memberLabels, nodeLabels, type SegmentMember, type SegmentNode } from "../../../../core/segment/membership.js";
import { stickyLabels } from "../../../../core/segment/stickyWord.js";
import type { Remote } from "../../../../forwarder/segments/part.js";
import { Remotes } from "../../../../forwarder/segments/remotes.js";
import { tunnelAddress } from "../../../../forwarder/tunnel/address.js";
import { FakeClock } from "../../../lib/fakeClock.js";
import { Shelf } from "../../../lib/shelf.js";

const idOf = (node: string) => `spiffe://paris/node/${node}/forwarder`;

function nodeOf(node: string): SegmentNode {
  const ends = { publicKey: `${node.repeat(42)}A=`, vni: 9_000_001, at: "192.0.2.1:51820", abroad: undefined };
  return { segment: "plant", id: idOf(node), node, site: "paris", ...ends, blocks: ["10.60.1.0/24"], mtu: 1366 };
}

const camera: SegmentMember = {
  name: "camera",
  mac: "02:00:00:00:00:01",
  addresses: ["10.60.1.5"],
  announces: [],
  services: [],
  sequence: 1,
};

function said(name: string, labels: Record<string, string>): NetworkServiceEndpoint {
  const networkServiceLabels = { plant: { labels } };
  return NetworkServiceEndpoint.fromPartial({ name, networkServiceNames: ["plant"], networkServiceLabels });
}

/** What node `a` knows of the others of "plant". */
class Watching implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly registry = new Shelf<NetworkServiceEndpoint>((query, { networkServiceNames }) =>
    query.networkServiceNames.every((name) => networkServiceNames.includes(name)),
  );
  readonly silent = new Set<string>();
  readonly told: (readonly Remote[])[] = [];
  readonly own: string[] = [];
  readonly remotes = new Remotes({
    ...{
      segment: "plant",
      own: idOf("a"),
      site: "paris",
      home: "paris",
      endpoints: this.registry,
      clock: this.clock,
      log: silent,
      restored: new Map(),
    },
    answers: (tunnel) => !this.silent.has(tunnel),
    onChange: (remotes) => void this.told.push(remotes),
    onOwn: (name, labels) => void this.own.push(`${name} ${labels?.vni}`),
  });

  async say(name: string, labels: Record<string, string>): Promise<void> {
    await this.registry.register(said(name, labels));
    await this.clock.advance(20);
  }

  async end(name: string): Promise<void> {
    const value = this.registry.values.get(name) ?? assert.fail(`${name} was never said`);
    await this.registry.unregister(value);
    await this.clock.advance(20);
  }

  get nodes(): string[] {
    return this.remotes.list().map(({ node }) => node);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.remotes[Symbol.asyncDispose]();
  }
}

describe("the other nodes of a segment", () => {
  it("are those that say so, with their members, and not the own one", async () => {
    await using watching = new Watching();
    await watching.say("plant.a", nodeLabels(nodeOf("a")));
    await watching.say("plant.b", nodeLabels(nodeOf("b")));
    await watching.say("plant.b.0", memberLabels(idOf("b"), [camera]));
    assert.deepEqual(watching.remotes.list(), [{ ...nodeOf("b"), tunnel: tunnelAddress(idOf("b")), members: [camera] }]);
    assert.deepEqual(watching.told.at(-1), watching.remotes.list());
  });

  it("are known without their members' words, but members are nobody without their node's", async () => {
    await using watching = new Watching();
    await watching.say("plant.b.0", memberLabels(idOf("b"), [camera]));
    assert.deepEqual(watching.nodes, []);
    await watching.say("plant.b", nodeLabels(nodeOf("b")));
    assert.deepEqual(watching.nodes, ["b"]);
  });

  it("are of the site that the registry names, whatever they say", async () => {
    await using watching = new Watching();
    await watching.say("plant.b", nodeLabels({ ...nodeOf("b"), site: "tokyo" }));
    await watching.say("plant.c@tokyo", nodeLabels({ ...nodeOf("c"), id: "spiffe://tokyo/node/c/forwarder" }));
    assert.deepEqual(
      watching.remotes.list().map(({ node, site }) => `${node} of ${site}`),
      ["b of paris", "c of tokyo"],
    );
  });

  const odd: Partial<SegmentNode>[] = [
    ...["", "key", `${"k".repeat(44)}`, `${"k".repeat(63)}=`].map((publicKey) => ({ publicKey })),
    ...[0, 1, 77, 2 ** 23 - 1, 2 ** 24].map((vni) => ({ vni })),
    ...["nowhere", "node.example:51820", "192.0.2.1", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.300:1", "[::1%lo]:1"].map((at) => ({
      at,
    })),
    ...["127.0.0.1:22", "0.0.0.0:1", "224.0.0.1:1", "255.255.255.255:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "[fe80::1]:1"].map((at) => ({
      at,
    })),
    { abroad: "127.0.0.1:51820" },
  ];
  for (const part of odd)
    it(`are not met at ${JSON.stringify(part)}`, async () => {
      await using watching = new Watching();
      await watching.say("plant.c", nodeLabels(nodeOf("c")));
      await watching.say("plant.b", nodeLabels({ ...nodeOf("b"), ...part }));
      assert.deepEqual(watching.nodes, ["c"]);
    });

  it("are gone at once after a farewell", async () => {
    await using watching = new Watching();
    await watching.say("plant.b", nodeLabels(nodeOf("b")));
    await watching.say("plant.b.0", memberLabels(idOf("b"), [camera]));
    await watching.say("plant.b", farewellLabels(idOf("b")));
    assert.deepEqual(watching.nodes, []);
    await watching.say("plant.b", nodeLabels(nodeOf("b")));
    assert.deepEqual(
      watching.remotes.list().map(({ members }) => members),
      [[]],
      "nothing of before comes back with it",
    );
  });

  it("stay without a farewell as long as they answer, for ten minutes at most", async () => {
    await using watching = new Watching();
    await watching.say("plant.b", nodeLabels(nodeOf("b")));
    await watching.say("plant.c", nodeLabels(nodeOf("c")));
    await watching.end("plant.b");
    await watching.end("plant.c");
    assert.deepEqual(watching.nodes, ["b", "c"]);
    watching.silent.add(tunnelAddress(idOf("c")));
    assert.deepEqual(watching.nodes, ["b"]);
    await watching.clock.advance(600_000);
    assert.deepEqual(watching.nodes, []);
  });

  it("stay known while the registry is away, and are learned anew when it is back", async () => {
    await using watching = new Watching();
    await watching.say("plant.b", nodeLabels(nodeOf("b")));
    watching.registry.leave();
    await watching.clock.advance(5_000);
    assert.deepEqual(watching.nodes, ["b"]);
    await watching.registry.register(said("plant.c", nodeLabels(nodeOf("c"))));
    watching.registry.away = false;
    await watching.clock.advance(5_000);
    assert.deepEqual(watching.nodes, ["b", "c"]);
  });

  it("are told apart from what their segment's home says of sticky names, which holds until it says otherwise", async () => {
    await using watching = new Watching();
    const word = { name: "cam", addresses: ["10.60.9.1"], claims: [{ id: idOf("b"), sequence: 2 }] };
    const labels = stickyLabels("spiffe://paris/registry", word);
    await watching.say("plant.cam.sticky@tokyo", labels);
    assert.deepEqual(watching.remotes.sticky, [], "tokyo is not its home");
    await watching.say("plant.cam.sticky", labels);
    assert.deepEqual([watching.remotes.sticky, watching.nodes], [[word], []]);
    await watching.end("plant.cam.sticky");
    await watching.clock.advance(3_600_000);
    assert.deepEqual(watching.remotes.sticky, [word]);
    assert.ok(watching.remotes.words.has("plant.cam.sticky"), "also after a restart");
  });

  it("tells what the registry has of the own node, and when that has vanished", async () => {
    await using watching = new Watching();
    await watching.say("plant.a", nodeLabels(nodeOf("a")));
    await watching.end("plant.a");
    assert.deepEqual(watching.own, ["plant.a 9000001", "plant.a undefined"]);
  });

  it("tells changes that come together together", async () => {
    await using watching = new Watching();
    await watching.clock.advance(1);
    for (const node of ["b", "c", "d"]) await watching.registry.register(said(`plant.${node}`, nodeLabels(nodeOf(node))));
    await watching.clock.advance(20);
    assert.deepEqual(
      watching.told.map((remotes) => remotes.length),
      [3],
    );
  });
});
