import assert from "node:assert/strict";
import { Connection } from "../../../api/gen/connection/connection.js";
import type { MeshError } from "../../../core/error.js";
import { asked, type Pretended, World } from "./world.js";

function fails(code: string, words: RegExp) {
  return (error: MeshError) => {
    assert.equal(error.code, code);
    assert.match(error.message, words);
    return true;
  };
}

/** A world whose nodes have the same, but for the node tunnel's peers, when it has refused something. */
async function unchanged(world: World<Pretended>, refused: () => Promise<void>): Promise<void> {
  const texts = () => world.nodes.map(({ machine }) => machine.text().replaceAll(/^.*\bisw-.*$\n?/gm, ""));
  const before = texts();
  await refused();
  assert.deepEqual(texts(), before);
  for (const { disk, forwarder } of world.nodes) {
    assert.deepEqual(disk.keys("connection/"), []);
    assert.deepEqual(forwarder.wanted.list(), []);
  }
}

describe("forwarder: refusing", () => {
  it("names an interface that is too long, has a slash, or is there already, and leaves nothing", async () => {
    await using world = await World.pretend();
    const { pods } = world.node(1).machine;
    await world.serve(1, pods.add("server"));
    const client = pods.add("client");
    await unchanged(world, async () => {
      await assert.rejects(world.request(1, asked(client, { name: "eth0" })), fails("exists", /eth0/));
      await assert.rejects(world.request(1, asked(client, { name: "a/b" })), fails("invalid", /a\/b/));
      await assert.rejects(world.request(1, asked(client, { name: "much-too-long-a-name" })), fails("invalid", /much-too-long/));
    });
  });

  it("gives two requests of one moment two names", async () => {
    await using world = await World.pretend();
    const { pods } = world.node(1).machine;
    await world.serve(1, pods.add("server"));
    const client = pods.add("client");
    const conns = await Promise.all(["a", "b", "c"].map((id) => world.request(1, asked(client, { id }))));
    assert.deepEqual(conns.map(({ mechanism }) => mechanism?.parameters.name).sort(), ["nsm0", "nsm1", "nsm2"]);
  });

  it("says which namespace is not there, and which is gone", async () => {
    await using world = await World.pretend();
    const { pods } = world.node(1).machine;
    await world.serve(1, pods.add("server"));
    await unchanged(world, async () => {
      await assert.rejects(world.request(1, asked({ path: "/run/netns/none", cookie: "1" })), fails("not-found", /\/run\/netns\/none/));
    });
    const client = pods.add("client");
    const conn = await world.request(1, asked(client));
    pods.remove(client);
    pods.add("client");
    await assert.rejects(world.request(1, conn), fails("netns-gone", /\/run\/netns\/client/));
  });

  it("takes all back when the kernel refuses a part of it, at every hop", async () => {
    await using world = await World.pretend(2);
    const client = world.node(1).machine.pods.add("client");
    await world.serve(2, world.node(2).machine.pods.add("server"));
    await unchanged(world, async () => {
      world.node(1).machine.kernel.refuse(`address netns:${client.cookie} nsm0 172.16.1.1/32`, new Error("no address today"));
      await assert.rejects(world.request(1, asked(client)), fails("kernel", /no address today/));
      assert.equal(world.closed.length, 1);
    });
  });

  it("takes all back when no packet reaches the other node", async () => {
    await using world = await World.pretend(2);
    world.node(1).machine.reachable = false;
    await world.serve(2, world.node(2).machine.pods.add("server"));
    await unchanged(world, async () => {
      const patience = AbortSignal.timeout(100);
      await assert.rejects(world.request(1, asked(world.node(1).machine.pods.add("client")), [], patience));
      await world
        .node(2)
        .machine.until(() => world.node(2).forwarder.wanted.list().length === 0 && !/ispe/.test(world.node(2).machine.text()));
      await world
        .node(1)
        .machine.until(() => world.node(1).forwarder.wanted.list().length === 0 && !/ispc/.test(world.node(1).machine.text()));
    });
  });

  it("does not take an answer without the protection that was offered", async () => {
    await using world = await World.pretend();
    const { pods } = world.node(1).machine;
    const parameters = { src_ip: "192.0.2.1", src_port: "4789", dst_ip: "192.0.2.9", dst_port: "4789", vni: "7" };
    const change = (conn: Connection) => ({ ...conn, mechanism: { cls: "REMOTE", type: "VXLAN", parameters } });
    await world.serve(1, pods.add("server"), { change });
    await unchanged(world, async () => {
      await assert.rejects(world.request(1, asked(pods.add("client"))), fails("no-mechanism", /answered with vxlan, offered was kernel/));
      assert.equal(world.closed.length, 1);
    });
  });

  it("says why a mechanism does not go with a payload, or is not known", async () => {
    await using world = await World.pretend(2);
    const one = world.node(1).machine;
    await world.serve(2, world.node(2).machine.pods.add("server"));
    const client = one.pods.add("client");
    await unchanged(world, async () => {
      await assert.rejects(world.request(1, asked(client, { mechanism: "vxlan" })), fails("no-mechanism", /payload ETHERNET only/));
      const memif = Connection.fromPartial({ ...asked(client), mechanism: { cls: "LOCAL", type: "MEMIF", parameters: {} } });
      await assert.rejects(world.request(1, memif), fails("no-mechanism", /memif is not known here; this node knows kernel/));
    });
  });

  it("does not pass other nodes' packets on", async () => {
    await using world = await World.pretend(2);
    await world.serve(2, world.node(2).machine.pods.add("server"));
    const parameters = {
      src_ip: "192.0.2.9",
      src_port: "51820",
      src_public_key: `${"C".repeat(42)}A=`,
      src_vni: "7",
      src_segment: "client-1",
    };
    const request = { ...asked({ path: "", cookie: "" }), mechanism: { cls: "REMOTE", type: "NODE_TUNNEL", parameters } };
    await unchanged(world, async () => {
      await assert.rejects(world.request(1, request), fails("unsupported", /only pass the connection on/));
      assert.ok(!/\bpeer\b/.test(world.node(1).machine.text()));
    });
  });
});
