import assert from "node:assert/strict";
import { Connection } from "../../../api/gen/connection/connection.js";
import { NetworkServiceEndpoint } from "../../../api/gen/registry/registry.js";
import { subjectOf } from "../../../core/jwt.js";
import type { Identity } from "../../../identity/identity.js";
import type { PeerSet } from "../../../rpc/peers.js";
import { failsWith, unending } from "../../lib/chainKit.js";
import { meshIdentity } from "../../lib/mesh/identities.js";
import { patience } from "../../lib/mesh/look.js";
import { registryUrl } from "../../lib/mesh/registry.js";
import { Mesh } from "../../lib/mesh.js";
import { makeToken } from "../../lib/tokenMaker.js";

/** What can be done with the identity of node 3's nsmgr, by somebody who knows all names and ids of nodes 1 and 2. */
describe("a stolen identity of a node", () => {
  let mesh: Mesh;
  let thief: Identity;
  let peers: PeerSet;
  let connection: Connection;

  beforeEach(async () => {
    mesh = await Mesh.start({ nodes: 3 });
    thief = await meshIdentity(mesh.world, "node/node-3/nsmgr");
    peers = mesh.world.network.peers({ identity: thief, clock: mesh.world.clock });
    await mesh.node(2).serve("web", "server", { name: "web-1" });
    const attachment = await mesh.node(1).attach("web", "client");
    connection = attachment.connection ?? assert.fail();
  });
  afterEach(async () => {
    await peers[Symbol.asyncDispose]();
    await mesh[Symbol.asyncDispose]();
  });

  /** The connection as a hop of it has it, with the thief in the place of the hop before. */
  const asIf = (index: number): Connection => {
    const segments = connection.path?.pathSegments ?? [];
    const before = segments.slice(0, index);
    return Connection.fromPartial({
      ...connection,
      id: segments[index - 1]?.id ?? "",
      path: { index: index - 1, pathSegments: [...before, ...segments.slice(index)] },
    });
  };
  const hops = () => [
    mesh.node(1).urls.tcp,
    mesh.node(1).forwarder.url,
    mesh.node(2).urls.tcp,
    mesh.node(2).forwarder.url,
    mesh.node(2).urls.endpoints,
  ];
  /** What the audit logs have of the thief, each once: everything that it tries is to be in one. */
  const audited = () => [...new Set(mesh.world.audit.deniedTo(thief.id).map((line) => line.replace(/[0-9a-f-]{36}/, "ID")))].sort();
  const alive = async () => {
    assert.equal((await mesh.node(1).client.listAttachments(patience))[0]?.state, "up");
    assert.equal(mesh.node(2).forwarder.interfaces.list().length, 2);
  };

  it("has in its path who asked: the pod, for whom its nsmgr vouches", () => {
    const subjects = connection.path?.pathSegments.map(({ token }) => subjectOf(token));
    assert.deepEqual(subjects, [
      "spiffe://test/node/node-1/nsmgr/isthmus-pod/client",
      "spiffe://test/node/node-1/nsmgr",
      "spiffe://test/node/node-1/forwarder",
      "spiffe://test/node/node-2/nsmgr",
      "spiffe://test/node/node-2/forwarder",
      "spiffe://test/node/node-2/nsmgr",
    ]);
  });

  it("cannot close a connection that it is no hop of, at any hop", async () => {
    for (const [at, target] of hops().entries())
      await failsWith(
        "denied",
        /the token of|is not on the path|speaks for/,
        peers.networkService().close({ connection: asIf(at + 1), preferences: [], signal: unending, target }),
      );
    await alive();
    assert.deepEqual(audited(), ["close connection ID (web)"]);
    assert.equal(mesh.world.audit.deniedTo(thief.id).length, hops().length);
  });

  it("cannot change one either, nor take it over", async () => {
    for (const [at, target] of hops().entries())
      await failsWith(
        "denied",
        /the token of|is not on the path|speaks for/,
        peers.networkService().request({ connection: asIf(at + 1), preferences: [], signal: unending, target }),
      );
    await alive();
    assert.deepEqual(audited(), ["request connection ID (web)"]);
    assert.equal(mesh.world.audit.deniedTo(thief.id).length, hops().length);
  });

  it("cannot watch one", async () => {
    for (const [at, url] of hops().entries()) {
      const id = connection.path?.pathSegments[at + 1]?.id ?? "";
      const selector = { pathSegments: [{ name: "", id, token: "", expires: undefined, metrics: {} }], networkServices: [] };
      const first = async (asked: typeof selector) => {
        for await (const event of peers.monitor(url, asked, unending)) return Object.keys(event.connections).length;
        return 0;
      };
      await failsWith("denied", "is not on the path of connection", first(selector));
      assert.equal(await first({ ...selector, pathSegments: [] }), 0);
    }
    assert.deepEqual(audited(), ["monitor connection ID"]);
    assert.equal(mesh.world.audit.deniedTo(thief.id).length, hops().length);
  });

  it("cannot ask in the name of another node's pod", async () => {
    const { clock } = mesh.world;
    const [exp, svid] = [clock.now() / 1000 + 60, thief.source.current];
    const sub = "spiffe://test/node/node-1/nsmgr/isthmus-pod/client";
    const forged = makeToken({ sub, aud: [thief.id], exp }, svid);
    const stolen = connection.path?.pathSegments[0]?.token ?? "";
    for (const [token, words] of [
      [forged, "who may not speak for it"],
      [makeToken({ sub, aud: [thief.id], exp }, svid, { x5c: [] }), "does not show who vouches for it"],
      [stolen, "was made for spiffe://test/node/node-1/nsmgr, and came to"],
    ] as const) {
      const path = {
        index: 1,
        pathSegments: [
          { name: "client", id: "c9", token },
          { name: "nsmgr-node-3", id: "n9" },
        ],
      };
      const asked = Connection.fromPartial({ id: "n9", networkService: "web", path });
      const target = mesh.node(2).urls.tcp;
      await failsWith("denied", words, peers.networkService().request({ connection: asked, preferences: [], signal: unending, target }));
    }
    assert.deepEqual(audited(), ["request connection n9 (web)"]);
    assert.equal(mesh.world.audit.deniedTo(thief.id).length, 3);
  });

  it("cannot take over, change or remove what another node has registered, at the registry or at that node", async () => {
    const context = { signal: unending };
    const mine = NetworkServiceEndpoint.fromPartial({ name: "web-1", url: "tcp://10.0.0.3:5001", networkServiceNames: ["web"] });
    const { clock } = mesh.world;
    const owner = "spiffe://test/node/node-2/nsmgr/isthmus-pod/server";
    const forged = makeToken({ sub: owner, aud: [thief.id], exp: clock.now() / 1000 + 60 }, thief.source.current);
    for (const url of [registryUrl, mesh.node(2).urls.tcp]) {
      await failsWith("denied", `web-1 belongs to ${owner}`, peers.endpoints(url).register(mine, context));
      await failsWith("denied", `web-1 belongs to ${owner}`, peers.endpoints(url).unregister(mine, context));
      const inItsName = { ...context, path: { index: 1, tokens: [forged, ""] } };
      await failsWith("denied", "who may not speak for it", peers.endpoints(url).unregister(mine, inItsName));
    }
    for await (const { value } of peers.endpoints(registryUrl).find(mine, { watch: false }, context))
      assert.equal(value.url, mesh.node(2).urls.tcp);
    assert.deepEqual(audited(), ["register web-1", "unregister web-1"]);
  });

  it("cannot register a service that the policy gives to others, through its own node or straight at the registry", async () => {
    const rules = [
      '{ who: [test], may: [find, request, monitor], services: ["*"] }',
      "{ who: [test], may: [register], services: [forwarder] }",
      '{ name: paris, who: ["spiffe://test/node/node-2/**"], may: [register], services: [web] }',
    ];
    await mesh.registry.policy.apply({ text: `allow: [${rules.join(", ")}]`, force: false, author: "" }, unending);
    const mine = NetworkServiceEndpoint.fromPartial({ name: "mine", url: "tcp://10.0.0.3:5001", networkServiceNames: ["web"] });
    for (const url of [registryUrl, mesh.node(3).urls.tcp, mesh.node(2).urls.tcp])
      await failsWith("denied", "rule 3 (paris) comes nearest", peers.endpoints(url).register(mine, { signal: unending }));
    await failsWith("denied", "may not register", mesh.node(3).serve("web", "server"));
    assert.deepEqual(audited(), ["register web"]);
    assert.deepEqual(mesh.world.audit.deniedTo(`${thief.id}/isthmus-pod/server`), ["register web"]);
  });
});
