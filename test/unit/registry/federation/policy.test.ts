import assert from "node:assert/strict";
import { decide } from "../../../../identity/policy/decide.js";
import type { Action } from "../../../../identity/policy/policy.js";
import { refused, serving } from "../site.js";
import { forever, namesIn, Sites, type TestSite } from "./world.js";

const node = "spiffe://tokyo.test/node/tokyo-1";
const registry = "spiffe://tokyo.test/registry";

/** Who of tokyo may do what with `echo` there, as `find registry`. */
function allowed(site: TestSite, service = "echo"): string[] {
  const actions: Action[] = ["register", "find", "request", "monitor"];
  const who = {
    registry,
    nsmgr: `${node}/nsmgr`,
    pod: `${node}/nsmgr/isthmus-pod/client`,
    forwarder: `${node}/forwarder`,
    other: `${node}/other`,
  };
  const asked = Object.entries(who).flatMap(([name, id]) => actions.map((action) => ({ name, id, action })));
  return asked
    .filter(({ id, action }) => decide(site.policy.current.policy, { id, action, service }).allowed)
    .map(({ name, action }) => `${action} ${name}`);
}

const joined = ["find registry", ...["nsmgr", "pod", "forwarder"].flatMap((who) => [`request ${who}`, `monitor ${who}`])];
const changes = (site: TestSite) => site.audit.lines.flatMap(({ event, on }) => (event === "changed" ? [on] : []));

describe("the policy of a site that is joined with another", () => {
  let sites: Sites;
  let paris: TestSite;
  let tokyo: TestSite;
  beforeEach(async () => {
    sites = await Sites.open("paris", "tokyo");
    [paris, tokyo] = [sites.get(0), sites.get(1)];
  });
  afterEach(() => sites[Symbol.asyncDispose]());

  it("lets its registry find, and its nodes request and monitor, from when it is joined until it is left", async () => {
    assert.deepEqual(allowed(paris), []);
    await tokyo.join(await paris.invite());
    assert.deepEqual(allowed(paris), joined);
    for (const service of ["forwarder", "echo@lima", ""]) assert.deepEqual(allowed(paris, service), [], service);
    await paris.leave("tokyo");
    assert.deepEqual(allowed(paris), []);
    assert.deepEqual(changes(paris), ["peers/tokyo", "peers/tokyo"]);
    const sentences = paris.audit.lines.map(({ sentence }) => sentence);
    assert.match(sentences.join("\n"), /^the rules of peers\/tokyo hold here now.*\nthe rules of peers\/tokyo do not hold here any more$/);
  });

  it("does so beside what the administrator applies, which may say more", async () => {
    await sites.joinAll();
    const text = `allow: [{ who: [${node}/other], may: [request], services: [echo] }]`;
    await paris.policy.apply({ text, force: false, author: "" }, forever);
    assert.deepEqual(allowed(paris).sort(), [...joined, "request other"].sort());
    const { text: own, inForce } = await paris.policy.get();
    assert.equal(own, text);
    assert.match(inForce, /name: the nodes of tokyo/);
  });

  it("is what the registry goes by when it starts again, also when it exports something else since", async () => {
    await sites.joinAll();
    await paris.stop();
    await paris.start({ exports: ["public-*"] });
    assert.deepEqual([allowed(paris), allowed(paris, "public-x")], [[], joined]);
    await paris.stop();
    await paris.start({ exports: [] });
    assert.deepEqual([allowed(paris), allowed(paris, "public-x")], [[], []]);
  });

  it("takes from the other what an endpoint does not serve for it any more, and gives it back", async () => {
    await sites.joinAll();
    await paris.stop();
    await paris.start({ exports: ["echo"] });
    await paris.serve("a", "echo");
    await using watch = tokyo.watch("echo");
    await sites.until("it is seen", 3_000, () => namesIn(watch).join() === "a@paris");
    await paris.serve("a", "secret");
    await sites.until("it is gone", 1_000, () => namesIn(watch).length === 0);
    await paris.serve("a", "echo", "secret");
    await sites.until("it is back", 1_000, () => namesIn(watch).join() === "a@paris");
    assert.deepEqual([...watch.shown.values()][0]?.networkServiceNames, ["echo", "echo@paris"]);
  });

  it("may let more of another site in, as far as its administrator says so", async () => {
    await sites.joinAll();
    await using peers = sites.network.peers({ identity: await tokyo.identityOf("node/tokyo-1/nsmgr"), clock: sites.clock });
    const find = async () => {
      const names: string[] = [];
      for await (const { value } of peers
        .endpoints(paris.url)
        .find({ ...serving("", "echo"), url: "" }, { watch: false }, { signal: forever }))
        names.push(value.name);
      return names;
    };
    await paris.serve("a", "echo");
    await refused("denied", find, /node\/tokyo-1\/nsmgr may not find "echo"/);
    const text = `allow: [{ who: ["${node}/nsmgr"], may: [find, register], services: [echo] }]`;
    await paris.policy.apply({ text, force: false, author: "" }, forever);
    assert.deepEqual(await find(), ["a"]);
    await peers.endpoints(paris.url).register({ ...serving("b", "echo"), url: "tcp://10.0.0.2:5001" }, { signal: forever });
    assert.deepEqual((await find()).sort(), ["a", "b"]);
  });
});
