import assert from "node:assert/strict";
import { Connection } from "../../../api/gen/connection/connection.js";
import { NetworkServiceEndpoint } from "../../../api/gen/registry/registry.js";
import { policyKind } from "../../../registry/policy/document.js";
import { policyFeed } from "../../../rpc/policyFeed.js";
import type { RegistryContext } from "../../../rpc/registry.js";
import { failsWith, unending } from "../../lib/chainKit.js";
import { meshIdentity } from "../../lib/mesh/identities.js";
import { registryUrl } from "../../lib/mesh/registry.js";
import { Mesh } from "../../lib/mesh.js";
import { makeToken } from "../../lib/tokenMaker.js";

const nodes = `
  - { name: forwarders, who: ["spiffe://test/node/*/forwarder"], may: [register], services: [forwarder] }
  - { name: nodes, who: ["spiffe://test/node/*/nsmgr", "spiffe://test/node/*/forwarder"], may: [find, monitor], services: ["*"] }`;
/** web is served on node 2 only, and asked for by pods with the label role=viewer only; node 1 may do everything about open. */
const restricted = `allow:${nodes}
  - { name: server, who: ["spiffe://test/node/node-2/nsmgr/**"], may: [register], services: [web] }
  - { name: viewers, who: [test], may: [request], services: [web], pods: { role: viewer } }
  - { name: open, who: ["spiffe://test/node/node-1/**"], may: [register, find, request], services: [open] }
`;
const context: RegistryContext = { signal: unending };

describe("the policy in a mesh", () => {
  let mesh: Mesh;
  const apply = (text: string, more: { readonly force?: boolean; readonly author?: string } = {}) =>
    mesh.registry.policy.apply({ text, force: false, author: "", ...more }, unending);
  /** Resolves when every program of every node has what the registry has. */
  const heard = () =>
    mesh.until("the policy is heard everywhere", 5_000, () => {
      const { text } = mesh.registry.policy.current;
      return mesh.nodes.every(({ policies }) => policies.every(({ current }) => current.text === text));
    });
  const audit = () => mesh.world.audit;

  beforeEach(async () => {
    mesh = await Mesh.start({ nodes: 3 });
    await mesh.node(2).serve("web", "server", { name: "web-1" });
  });
  afterEach(() => mesh[Symbol.asyncDispose]());

  /** Asks for it in a pod with that role. */
  const attach = (node: number, service: string, pod: string, role: string) =>
    mesh.node(node).attach(service, pod, { pod: { name: pod, netnsUrl: mesh.node(node).pod(pod), labels: { role } } });
  const peersOf = async (path: string) => {
    const identity = await meshIdentity(mesh.world, path);
    return mesh.world.network.peers({ identity, clock: mesh.world.clock });
  };
  const found = async (path: string, query: Partial<NetworkServiceEndpoint>, url = registryUrl) => {
    await using peers = await peersOf(path);
    const names: string[] = [];
    for await (const { value } of peers.endpoints(url).find(NetworkServiceEndpoint.fromPartial(query), { watch: false }, context))
      names.push(value.name);
    return names.sort();
  };

  it("of a fresh site lets every pod of the site ask, and nobody applied it", async () => {
    assert.equal((await mesh.node(1).attach("web", "client")).state, "up");
    const { version, text } = await mesh.registry.policy.get();
    assert.deepEqual([version, /who: \[test\]/.test(text)], [0, true]);
    assert.deepEqual(audit().lines, []);
  });

  it("denies a request by the labels of the pod, where the pod is, with the rule that is missing", async () => {
    await apply(restricted);
    await heard();
    const asked = attach(1, "web", "client", "guest");
    const pod = "spiffe://test/node/node-1/nsmgr/isthmus-pod/client";
    await failsWith("denied", `${pod} (a pod with role=guest) may not request "web"`, asked);
    await failsWith("denied", "rule 4 (viewers) comes nearest but is for pods with role=viewer", mesh.node(1).attach("web", "client"));
    assert.deepEqual(new Set(audit().deniedTo(pod)), new Set(["request web"]));
    assert.equal((await attach(1, "web", "client", "viewer")).state, "up");
  });

  it("holds everywhere as soon as it is applied, for refreshes too", async () => {
    const attachment = await attach(1, "web", "client", "viewer");
    await apply(`allow:${nodes}\n`);
    await heard();
    await failsWith("denied", "may not request", attach(1, "web", "other", "viewer"));
    await failsWith("denied", "may not request", attach(3, "web", "other", "viewer"));
    const [, second] = attachment.connection?.path?.pathSegments ?? [];
    assert.ok(mesh.node(2).forwarder.connections.length > 0, "what is there is not torn down");
    assert.ok(second);
    await apply(restricted);
    await heard();
    assert.equal((await attach(3, "web", "other", "viewer")).state, "up");
  });

  it("believes labels that a pod's own nsmgr has signed, and no others", async () => {
    await apply(restricted);
    await heard();
    await using peers = await peersOf("node/node-3/nsmgr");
    const svid = (await meshIdentity(mesh.world, "node/node-3/nsmgr")).source.current;
    const sub = `${svid.id.text}/isthmus-pod/x`;
    const exp = mesh.world.clock.now() / 1000 + 60;
    const ask = (claims: object) => {
      const token = makeToken({ sub, aud: [svid.id.text], exp, ...claims }, svid);
      const path = {
        index: 1,
        pathSegments: [
          { name: "x", id: "c9", token },
          { name: "nsmgr-node-3", id: "n9" },
        ],
      };
      const connection = Connection.fromPartial({ id: "n9", networkService: "web", labels: { role: "viewer" }, path });
      return peers.networkService().request({ connection, preferences: [], signal: unending, target: mesh.node(2).urls.tcp });
    };
    await failsWith("denied", `${sub} may not request "web"`, ask({}));
    await failsWith("no-mechanism", "", ask({ "isthmus.labels": { role: "viewer" } }));
  });

  it("does not let somebody reach another service by the name of its endpoint", async () => {
    await apply(restricted);
    await heard();
    await mesh.node(1).serve("open", "server", { name: "open-1" });
    assert.equal((await mesh.node(1).attach("open", "client")).state, "up");
    await failsWith("no-endpoint", 'does not serve "open"', mesh.node(1).attach("open", "client", { endpoint: "web-1" }));
  });

  it("knows a service of the site by its name with the site, too", async () => {
    await apply(`allow:${nodes}\n  - { who: [test], may: [register, request], services: ["*"], except: [vault] }\n`);
    await heard();
    await failsWith("denied", 'may not request "vault"', mesh.node(1).attach("vault@test", "client"));
    assert.equal((await mesh.node(1).attach("web", "client")).state, "up");
  });

  it("denies a registration that comes through a node, and one that comes straight to the registry", async () => {
    await apply(restricted);
    await heard();
    const pod = "spiffe://test/node/node-3/nsmgr/isthmus-pod/server";
    await failsWith("denied", `${pod} may not register "web"`, mesh.node(3).serve("web", "server"));
    await using peers = await peersOf("node/node-3/nsmgr");
    const mine = NetworkServiceEndpoint.fromPartial({ name: "mine", url: "tcp://10.0.0.3:5001", networkServiceNames: ["web"] });
    for (const url of [registryUrl, mesh.node(1).urls.tcp])
      await failsWith("denied", 'node-3/nsmgr may not register "web"', peers.endpoints(url).register(mine, context));
    assert.deepEqual(audit().deniedTo("spiffe://test/node/node-3/nsmgr"), ["register web"]);
  });

  it("lets nobody register in a name that nothing proves, unless who vouches for it may too", async () => {
    await apply(restricted);
    await heard();
    await using peers = await peersOf("node/node-3/nsmgr");
    const svid = (await meshIdentity(mesh.world, "node/node-3/nsmgr")).source.current;
    const exp = mesh.world.clock.now() / 1000 + 60;
    const bare = makeToken({ sub: "spiffe://test/node/node-2/nsmgr", aud: [svid.id.text], exp }, svid, { x5c: [] });
    const mine = NetworkServiceEndpoint.fromPartial({ name: "mine", url: "tcp://10.0.0.3:5001", networkServiceNames: ["web"] });
    const inAnothersName = { ...context, path: { index: 1, tokens: [bare, ""] } };
    await failsWith("denied", "node-3/nsmgr may not register", peers.endpoints(registryUrl).register(mine, inAnothersName));
  });

  it("shows nobody what it may not find, but to each what is its own", async () => {
    await apply(`${restricted}  - { who: ["spiffe://test/user/*"], may: [find], services: ["open*"] }\n`);
    await heard();
    await mesh.node(1).serve("open", "server", { name: "open-1" });
    for (const url of [registryUrl, mesh.node(1).urls.tcp]) {
      assert.deepEqual(await found("user/anna", {}, url), ["open-1"]);
      assert.deepEqual(await found("user/anna", { networkServiceNames: ["web"] }, url), []);
      assert.deepEqual(await found("user/anna", { name: "web-1" }, url), []);
    }
    assert.deepEqual(await found("node/node-1/nsmgr", { networkServiceNames: ["web"] }), ["web-1"]);
    assert.deepEqual(new Set(audit().deniedTo("spiffe://test/user/anna")), new Set(["find web"]));
    await apply(`allow: []`, { force: true });
    assert.deepEqual(await found("node/node-1/nsmgr", {}), ["forwarder-node-1", "open-1"]);
  });

  it("ends a watch of whose reader it has changed, and no other", async () => {
    await using peers = await peersOf("user/anna");
    const query = NetworkServiceEndpoint.fromPartial({ networkServiceNames: ["web"] });
    const watching = async () => {
      let count = 0;
      const watch = async () => {
        for await (const _ of peers.endpoints(registryUrl).find(query, { watch: true }, context)) count++;
        return count;
      };
      const ended = watch();
      // What is asked after it is answered after it has begun.
      await found("user/anna", query);
      return { ended };
    };
    const open = await watching();
    await apply(`allow:${nodes}\n`);
    assert.equal(await open.ended, 1);
    const hidden = await watching();
    await apply(restricted);
    await apply(`allow:${nodes}\n  - { who: [test], may: [find], services: [web] }\n`);
    assert.equal(await hidden.ended, 0);
  });

  it("lets who may not monitor see no connection, even on its own path", async () => {
    await mesh.node(1).attach("web", "client");
    await using peers = await peersOf("node/node-1/forwarder");
    const seen = async () => {
      for await (const event of peers.monitor(mesh.node(2).urls.tcp, { pathSegments: [], networkServices: [] }, unending))
        return Object.values(event.connections).map(({ networkService }) => networkService);
      return undefined;
    };
    assert.deepEqual(await seen(), ["web"]);
    await apply(restricted.replace("[find, monitor]", "[find]"), { force: true });
    await heard();
    assert.deepEqual(await seen(), []);
    assert.ok(audit().deniedTo("spiffe://test/node/node-1/forwarder").includes("monitor web"));
  });

  it("that locks out the site's nodes or its author is refused, unless it is forced, and what is no policy always", async () => {
    await failsWith("denied", "node-1/forwarder, a program of a node of this site, could no longer register", apply("allow: []"));
    await failsWith("denied", "--force", apply("allow: []"));
    const author = "spiffe://test/user/anna";
    await failsWith("denied", "user/anna, who applies it, could no longer", apply(`allow:${nodes}\n`, { author }));
    await failsWith("invalid", 'line 1: the key "deny" is not known', apply("deny: []", { force: true }));
    assert.equal((await mesh.registry.policy.get()).version, 0);
    assert.equal((await apply("allow: []", { force: true })).version, 1);
    const last = audit().lines.findLast(({ event, who }) => event === "changed" && who === "the administrator");
    assert.match(last?.sentence ?? "", /applied a policy of 0 rules, by force although spiffe:\/\/test\/node\/node-1\/forwarder/);
    assert.equal((await apply(restricted)).version, 2);
  });

  it("is kept by each node, which starts with it while the registry is away", async () => {
    await apply(restricted);
    await heard();
    await mesh.registry.kill();
    await mesh.node(1).killNsmgr();
    await mesh.node(1).startNsmgr();
    await failsWith("denied", "may not request", mesh.node(1).attach("web", "client"));
    assert.equal(mesh.node(1).disk.get<{ version: number }>("policy")?.version, 1);
    await mesh.registry.start();
    await apply(`${restricted}  - { who: [test], may: [request], services: [web] }\n`);
    await mesh.until("node 1 has heard of it", 5_000, () => mesh.node(1).disk.get<{ version: number }>("policy")?.version === 2);
    await mesh.until("it is allowed", 5_000, () =>
      mesh
        .node(1)
        .attach("web", "client")
        .then(
          () => true,
          () => false,
        ),
    );
  });

  it("also has the rules that other documents of the store add, such as those of joined sites", async () => {
    const text = "allow: [{ who: [lima], may: [find], services: [web] }]";
    const value = policyKind.encode({ name: "peers/lima", version: 1, text, appliedMs: 0 });
    await mesh.registry.store.commit({ writes: [{ op: "put", key: `${policyKind.prefix}peers/lima`, value }] });
    await mesh.until("the registry has heard of it", 5_000, () => /lima/.test(mesh.registry.policy.current.text));
    const { inForce, text: own } = await mesh.registry.policy.get();
    assert.match(inForce, /lima/);
    assert.doesNotMatch(own, /lima/);
    await apply(restricted);
    assert.match((await mesh.registry.policy.get()).inForce, /who:\n\s+- lima/);
  });

  it("is told to the programs of its own site only", async () => {
    await using peers = await peersOf("node/node-1/forwarder");
    for await (const { version } of peers.policyFeed(mesh.node(1).urls.unix).watch(unending)) {
      assert.equal(version, 0);
      break;
    }
    const foreign = await meshIdentity(mesh.world, "x");
    const peer = { id: "spiffe://lima/registry", publicKey: foreign.source.current.chain[0]?.publicKey ?? assert.fail() };
    const watch = policyFeed(mesh.registry.policy).watch(unending, { peer, self: "spiffe://test/registry", tokens: foreign.tokens });
    await failsWith("denied", "spiffe://lima/registry is of another site", watch[Symbol.asyncIterator]().next());
  });
});
