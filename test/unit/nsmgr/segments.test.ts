import assert from "node:assert/strict";
import { Segment } from "../../../api/gen/isthmus/v1/segment.js";
import { memberLabels, membershipName } from "../../../core/segment/membership.js";
import { SegmentsAdmin } from "../../../registry/segments/admin.js";
import { failsWith, unending } from "../../lib/chainKit.js";
import { meshIdentity } from "../../lib/mesh/identities.js";
import { Mesh } from "../../lib/mesh.js";
import { serving } from "../registry/site.js";

const plant = (more: Partial<Segment> = {}) => Segment.fromPartial({ name: "plant", layer: "l3", prefixes: ["10.60.0.0/16"], ...more });

describe("segments in a mesh", () => {
  let mesh: Mesh;
  beforeEach(async () => {
    mesh = await Mesh.start({ nodes: 2 });
  });
  afterEach(() => mesh[Symbol.asyncDispose]());

  const apply = async (segment = plant()) => {
    const { endpoints, segments: book } = mesh.registry.inside;
    const { clock, log, audit } = mesh.world;
    const parts = { store: mesh.registry.store, clock, log, audit, endpoints, book, site: "test", joined: () => [] };
    return await new SegmentsAdmin({ ...parts, registryId: "spiffe://test/registry" }).apply(segment, unending);
  };
  const peersOf = async (path: string) => {
    const identity = await meshIdentity(mesh.world, path);
    return mesh.world.network.peers({ identity, clock: mesh.world.clock });
  };
  /** What the forwarder of a node hears: every list, as `plant 1`. */
  const hearing = async (node: number) => {
    const peers = await peersOf(`node/node-${node}/forwarder`);
    const heard: string[] = [];
    const stop = new AbortController();
    const read = async () => {
      for await (const { segments } of peers.segmentFeed(mesh.node(node).urls.unix).watch(stop.signal))
        heard.push(segments.map(({ name, version }) => `${name} ${version}`).join());
    };
    const reading = read();
    return {
      heard,
      async [Symbol.asyncDispose]() {
        stop.abort();
        await reading;
        await peers[Symbol.asyncDispose]();
      },
    };
  };

  it("are told to each node's forwarder, and what was told last while the registry is away", async () => {
    await using first = await hearing(1);
    await mesh.until("it is told that there are none", 5_000, () => first.heard.length === 1 && first.heard[0] === "");
    await apply();
    await mesh.until("it is told", 5_000, () => first.heard.at(-1) === "plant 1");
    await mesh.registry.kill();
    {
      await using late = await hearing(1);
      await mesh.until("the last list is told again", 5_000, () => late.heard.at(-1) === "plant 1");
    }
    await mesh.registry.start();
    await apply(plant({ mtu: 1300 }));
    await mesh.until("the change is told", 10_000, () => first.heard.at(-1) === "plant 2");
    assert.ok(!first.heard.slice(first.heard.indexOf("plant 1")).includes(""));
  });

  it("are not known to a node that was started while the registry is away", async () => {
    await apply();
    await mesh.registry.kill();
    await mesh.node(1).killNsmgr();
    await mesh.node(1).startNsmgr();
    await using late = await hearing(1);
    await mesh.world.clock.advance(5_000);
    assert.deepEqual(late.heard, []);
    await mesh.registry.start();
    await mesh.until("they are", 10_000, () => late.heard.at(-1) === "plant 1");
  });

  it("are counted by each node's forwarder, and told by its nsmgr", async () => {
    mesh.node(1).forwarder.members.set("plant", ["camera"]);
    const counted = async (node: number, segment: string) =>
      (await mesh.node(node).client.readSegmentCounters(segment, unending)).map(
        ({ node, members }) => `${node} ${members.map(({ name }) => name)}`,
      );
    assert.deepEqual(await counted(1, "plant"), ["node-1 camera"]);
    assert.deepEqual([await counted(1, "floor"), await counted(2, "plant")], [[], []]);
    await mesh.node(1).forwarder.kill();
    await failsWith("unreachable", "forwarder", counted(1, "plant"));
  });

  describe("have address blocks", () => {
    const any = { segment: "plant", prefix: "0.0.0.0/0", exclude: [] };
    const blocksOf = async (path: string, node: number) => (await peersOf(path)).blocks(mesh.node(node).urls.tcp);
    const holders = async () => {
      const { entries } = await mesh.registry.store.list("segment-block/plant/");
      return entries.map(({ key, value }) => {
        const { owner, holder } = JSON.parse(Buffer.from(value).toString()) as { owner: string; holder: string };
        return `${key.replace("segment-block/plant/", "")} ${owner} ${holder}`;
      });
    };

    it("for the forwarders of each node, in the name of its nsmgr", async () => {
      await apply();
      const first = await blocksOf("node/node-1/forwarder", 1);
      const second = await blocksOf("node/node-2/forwarder", 2);
      // Whoever it says that it asks for.
      assert.equal(await first.allocate({ ...any, holder: "spiffe://test/node/node-2/forwarder" }, unending), "10.60.0.0/24");
      assert.equal(await second.allocate(any, unending), "10.60.1.0/24");
      assert.deepEqual(await holders(), [
        "10.60.0.0/24 spiffe://test/node/node-1/nsmgr spiffe://test/node/node-1/forwarder",
        "10.60.1.0/24 spiffe://test/node/node-2/nsmgr spiffe://test/node/node-2/forwarder",
      ]);
      await failsWith(
        "denied",
        "10.60.0.0/24 of the segment plant is",
        second.release({ segment: "plant", prefix: "10.60.0.0/24" }, unending),
      );
      await first.release({ segment: "plant", prefix: "10.60.0.0/24" }, unending);
      assert.equal((await holders()).length, 1);
    });

    it("for nobody who is no forwarder of the node", async () => {
      await apply();
      const other = await blocksOf("node/node-2/forwarder", 1);
      const sentence = "spiffe://test/node/node-2/forwarder is no forwarder that is registered on this node";
      await failsWith("denied", sentence, other.allocate(any, unending));
      await failsWith("denied", sentence, other.release({ segment: "plant", prefix: "10.60.0.0/24" }, unending));
      assert.deepEqual(mesh.world.audit.deniedTo("spiffe://test/node/node-2/forwarder"), [
        "allocate 0.0.0.0/0 of plant",
        "release 10.60.0.0/24 of plant",
      ]);
    });

    it("not while the registry is away", async () => {
      await apply();
      await mesh.registry.kill();
      const first = await blocksOf("node/node-1/forwarder", 1);
      await failsWith("unreachable", "registry", first.allocate(any, unending));
    });
  });

  describe("have sticky names", () => {
    const cam = { segment: "plant", name: "cam", connection: "c-1", wishes: [] };
    const stickyOf = async (path: string, node: number) => (await peersOf(path)).sticky(mesh.node(node).urls.tcp);
    const holder = async () => {
      const entry = await mesh.registry.store.get("segment-sticky/plant/cam");
      return (JSON.parse(Buffer.from(entry?.value ?? []).toString()) as { holder?: unknown }).holder;
    };
    const ofNode = (node: number, connection: string) => {
      const id = `spiffe://test/node/node-${node}`;
      return { site: "test", nsmgr: `${id}/nsmgr`, forwarder: `${id}/forwarder`, connection };
    };

    it("for the forwarders of each node, in the name of its nsmgr", async () => {
      await apply();
      const [first, second] = [await stickyOf("node/node-1/forwarder", 1), await stickyOf("node/node-2/forwarder", 2)];
      const { addresses } = await first.claim(cam, unending);
      assert.deepEqual([addresses, await holder()], [["10.60.63.1"], ofNode(1, "c-1")]);
      // Whoever it says that it asks for.
      const lease = await second.claim({ ...cam, connection: "c-2", forwarder: "spiffe://test/x", nsmgr: "spiffe://test/y" }, unending);
      assert.deepEqual([lease.addresses, lease.sequence, await holder()], [addresses, 2, ofNode(2, "c-2")]);
      await first.release(cam, unending);
      assert.deepEqual(await holder(), ofNode(2, "c-2"));
      await second.release({ ...cam, connection: "c-2" }, unending);
      assert.equal(await holder(), undefined);
    });

    it("for nobody who is no forwarder of the node", async () => {
      await apply();
      const other = await stickyOf("node/node-2/forwarder", 1);
      const sentence =
        "spiffe://test/node/node-2/forwarder is no forwarder that is registered on this node; sticky names of the segment plant";
      await failsWith("denied", sentence, other.claim(cam, unending));
      await failsWith("denied", sentence, other.release(cam, unending));
      const denied = mesh.world.audit.deniedTo("spiffe://test/node/node-2/forwarder");
      assert.deepEqual(denied, ["claim the sticky name cam of plant", "release the sticky name cam of plant"]);
    });

    it("not while the registry is away", async () => {
      await apply();
      await mesh.registry.kill();
      await failsWith("unreachable", "registry", (await stickyOf("node/node-1/forwarder", 1)).claim(cam, unending));
    });
  });

  it("have endpoints that speak for themselves, by way of the nsmgr too", async () => {
    await apply();
    const id = "spiffe://test/node/node-1/forwarder";
    const register = async (path: string, name: string) => {
      await using peers = await peersOf(path);
      const endpoint = { ...serving(membershipName("plant", name, 0), "plant", memberLabels(id, [])), url: "tcp://10.0.0.9:5001" };
      return await peers.endpoints(mesh.node(1).urls.tcp).register(endpoint, { signal: unending });
    };
    await failsWith("denied", `spiffe://test/node/node-2/forwarder says ${id}`, register("node/node-2/forwarder", "thief"));
    const { pathIds } = await register("node/node-1/forwarder", "forwarder-1");
    assert.deepEqual(pathIds, [id, "spiffe://test/node/node-1/nsmgr", "spiffe://test/registry"]);
  });
});
