import assert from "node:assert/strict";
import type { AttachRequest } from "../../../api/gen/isthmus/v1/node.js";
import { MeshError } from "../../../core/error.js";
import { nothingLeft, patience } from "../../lib/mesh/look.js";
import { Mesh } from "../../lib/mesh.js";

describe("a request that cannot be", () => {
  const wrong: readonly [what: string, request: Partial<AttachRequest>, sentence: RegExp][] = [
    ["without a service", { networkService: "" }, /name of the network service is empty/],
    ["with a service that nobody can read", { networkService: "a b" }, /printable ASCII without spaces, got "a b"/],
    [
      "for a namespace that is not there",
      { pod: { name: "x", netnsUrl: "file:///run/netns/none", labels: {} } },
      /no network namespace at/,
    ],
    ["without a pod", { pod: undefined }, /names no pod/],
    ["with a long interface name", { interface: "sixteen-letters-" }, /interface/],
    ["with a slash in the interface name", { interface: "a/b" }, /interface/],
    ["by a mechanism that is none", { mechanism: "carrier-pigeon" }, /one of auto, node-tunnel, wireguard, vxlan, got "carrier-pigeon"/],
    ["with an address that is none", { ips: ["10.60.0.300"] }, /"10\.60\.0\.300" is no IP address/],
    ["with an announced prefix that has host bits", { announces: ["192.168.1.5/24"] }, /192\.168\.1\.0\/24; got 192\.168\.1\.5\/24/],
    ["with a service that is none", { services: ["HTTP"] }, /http:8080\/tcp`; got "HTTP"/],
    ["with a sticky name that is none", { sticky: "A b" }, /camera-1; got "A b"/],
    ["with a label without a key", { labels: { "": "x" } }, /label needs a key/],
  ];
  for (const [what, request, message] of wrong)
    it(`${what} is refused in one sentence`, async () => {
      await using mesh = await Mesh.start();
      await assert.rejects(mesh.node(1).attach("web", "client", request), { code: "invalid", message });
      await nothingLeft(mesh);
    });

  it("for a service that nobody serves names the nearest ones", async () => {
    await using mesh = await Mesh.start();
    await mesh.node(1).serve("web", "server");
    await assert.rejects(mesh.node(1).attach("wob", "client"), (error: MeshError) => {
      assert.match(error.message, /wob.*web/);
      assert.equal(error.hop, "forwarder-node-1");
      return true;
    });
    await nothingLeft(mesh);
  });

  it("for an interface that another attachment has is refused", async () => {
    await using mesh = await Mesh.start();
    await mesh.node(1).serve("web", "server");
    const { id } = await mesh.node(1).attach("web", "client", { interface: "nsm7" });
    await assert.rejects(mesh.node(1).attach("web", "client", { interface: "nsm7" }), { code: "exists", message: new RegExp(id) });
    await mesh.node(1).attach("web", "other", { interface: "nsm7" });
  });

  it("without a forwarder says so", async () => {
    await using mesh = await Mesh.start();
    await mesh.node(1).serve("web", "server");
    await mesh.node(1).forwarder.kill();
    await assert.rejects(mesh.node(1).attach("web", "client"), { code: "unreachable", message: /forwarder\.sock/ });
    assert.deepEqual(await mesh.node(1).client.listAttachments(patience), []);
  });

  it("beyond what an endpoint has addresses for says how many are in use", async () => {
    await using mesh = await Mesh.start();
    await mesh.node(1).serve("web", "server", { cidrs: ["10.0.0.0/31"] });
    await mesh.node(1).attach("web", "a");
    await assert.rejects(mesh.node(1).attach("web", "b"), { code: "exhausted", message: /10\.0\.0\.0\/31/ });
    assert.equal((await mesh.node(1).client.listAttachments(patience)).length, 1);
  });
});

describe("a request that fails half-way", () => {
  const boom = () => {
    throw new MeshError("kernel", "the kernel refused");
  };
  for (const [place, node, side] of [
    ["at the first forwarder", 1, "before"],
    ["at the last forwarder", 2, "before"],
    ["on the way back through the last forwarder", 2, "after"],
    ["on the way back through the first forwarder", 1, "after"],
  ] as const)
    it(`${place} leaves nothing anywhere`, async () => {
      await using mesh = await Mesh.start({ nodes: 2 });
      await mesh.node(2).serve("web", "server");
      mesh.node(node).forwarder[side] = boom;
      await assert.rejects(mesh.node(1).attach("web", "client"), {
        ...{ code: "kernel", message: "the kernel refused", hop: `forwarder-node-${node}` },
      });
      await nothingLeft(mesh);
      mesh.node(node).forwarder[side] = () => {};
      await mesh.node(1).attach("web", "client");
    });

  for (const [place, node, side] of [
    ["before it reaches the other node", 1, "before"],
    ["before it reaches the endpoint", 2, "before"],
    ["on the way back", 2, "after"],
  ] as const) {
    it(`because its caller went away ${place} leaves nothing anywhere`, async () => {
      await using mesh = await Mesh.start({ nodes: 2 });
      await mesh.node(2).serve("web", "server");
      const user = new AbortController();
      mesh.node(node).forwarder[side] = () => user.abort();
      await assert.rejects(mesh.node(1).attach("web", "client", {}, user.signal));
      await nothingLeft(mesh);
    });

    it(`because its time was over ${place} leaves nothing anywhere`, async () => {
      await using mesh = await Mesh.start({ nodes: 2 });
      await mesh.node(2).serve("web", "server");
      mesh.node(node).forwarder[side] = async ({ signal }) => {
        const over = new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
        await Promise.all([over, mesh.world.clock.advance(50)]);
      };
      const attaching = mesh.node(1).attach("web", "client", { timeoutMs: 50 });
      await assert.rejects(attaching, { code: "timeout", message: /no connection to web within 50 ms/ });
      await nothingLeft(mesh);
    });
  }

  it("because it was detached meanwhile leaves nothing anywhere", async () => {
    await using mesh = await Mesh.start({ nodes: 2 });
    await mesh.node(2).serve("web", "server");
    const node = mesh.node(1);
    const detached: Promise<void>[] = [];
    mesh.node(2).forwarder.after = async ({ signal }) => {
      const [attachment] = await node.client.listAttachments(patience);
      assert.equal(attachment?.state, "requesting");
      detached.push(node.client.detach({ id: attachment.id }, patience));
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
    };
    await assert.rejects(node.attach("web", "client"), { code: "cancelled" });
    await Promise.all(detached);
    assert.equal(detached.length, 1);
    await nothingLeft(mesh);
  });
});
