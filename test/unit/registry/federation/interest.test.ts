import assert from "node:assert/strict";
import { refused, service, serving } from "../site.js";
import { forever, namesIn, Sites } from "./world.js";

describe("sites that are joined", () => {
  let sites: Sites;
  beforeEach(async () => {
    sites = await Sites.open("paris", "tokyo", "lima");
    await sites.joinAll();
  });
  afterEach(() => sites[Symbol.asyncDispose]());

  it("find by its plain name what only another one serves, and by its name in that site", async () => {
    const [paris, tokyo] = [sites.get(0), sites.get(1)];
    await tokyo.serve("echo-1", "echo");
    assert.deepEqual(await paris.find("echo"), ["echo-1@tokyo"]);
    assert.deepEqual(await paris.find("echo@tokyo"), ["echo-1@tokyo"]);
    assert.deepEqual(await paris.find("echo@lima"), []);
    assert.deepEqual([await paris.services("echo"), await paris.services("echo@tokyo")], [["echo"], ["echo@tokyo"]]);
  });

  it("find what is their own by its name in their own site, and nothing of others by that", async () => {
    const [paris, tokyo] = [sites.get(0), sites.get(1)];
    await paris.serve("echo-0", "echo");
    await tokyo.serve("echo-1", "echo");
    assert.deepEqual(await paris.find("echo@paris"), ["echo-0"]);
    assert.deepEqual(await paris.services("echo@paris"), ["echo@paris"]);
  });

  it("answer for their own at once, and tell of others as they come", async () => {
    const [paris, tokyo, lima] = [sites.get(0), sites.get(1), sites.get(2)];
    await paris.serve("echo-0", "echo");
    await tokyo.serve("echo-1", "echo");
    await using watch = paris.watch("echo");
    await sites.until("both are seen", 1_000, () => watch.shown.size === 2);
    await lima.serve("echo-2", "echo");
    await sites.until("the third is seen", 1_000, () => watch.shown.size === 3);
    assert.deepEqual(namesIn(watch), ["echo-0", "echo-1@tokyo", "echo-2@lima"]);
    await tokyo.unserve("echo-1");
    await sites.until("it is gone", 1_000, () => watch.shown.size === 2);
  });

  it("hear of an endpoint under both names of each of its services, with its labels and without its expiry", async () => {
    const [paris, tokyo] = [sites.get(0), sites.get(1)];
    await tokyo.serve("echo-1", "echo");
    await using watch = paris.watch("echo");
    await sites.until("it is seen", 1_000, () => watch.shown.size === 1);
    const [seen] = watch.shown.values();
    assert.deepEqual(seen?.networkServiceNames, ["echo", "echo@tokyo"]);
    const labels = Object.entries(seen?.networkServiceLabels ?? {}).map(([name, one]) => [name, one.labels]);
    assert.deepEqual(Object.fromEntries(labels), { echo: { color: "red" }, "echo@tokyo": { color: "red" } });
    assert.deepEqual([seen?.url, seen?.expirationTime, seen?.pathIds], ["tcp://tokyo.test@10.0.0.1:5001", undefined, []]);
  });

  it("hear of an endpoint where it is reached from outside, whoever it says it is of, and of none that is not", async () => {
    const [paris, tokyo] = [sites.get(0), sites.get(1)];
    await using watch = paris.watch("echo");
    await tokyo.serveAt("tcp://10.0.0.1:5001?external=none", "closed", "echo");
    await tokyo.serveAt("tcp://10.0.0.1:5001?external=198.51.100.1:443", "open", "echo");
    await sites.until("it is seen", 1_000, () => watch.shown.size === 1);
    assert.equal(watch.shown.get("open@tokyo")?.url, "tcp://tokyo.test@198.51.100.1:443");
    await refused("invalid", () => tokyo.serveAt("tcp://paris.test@10.0.0.1:5001", "theirs", "echo"), /must not say whose it is/);
    // A node may lose its way out, and find it again.
    await tokyo.serveAt("tcp://10.0.0.1:5001?external=none", "open", "echo");
    await sites.until("it is gone", 1_000, () => watch.shown.size === 0);
  });

  it("watch a service there once, however many ask, and not for ever", async () => {
    const [paris, tokyo] = [sites.get(0), sites.get(1)];
    await tokyo.serve("echo-1", "echo");
    const watches = Array.from({ length: 5 }, () => paris.watch("echo"));
    for (let turn = 0; turn < 5; turn++) await paris.find("echo@tokyo");
    // One for the service, one for its endpoints.
    assert.equal(tokyo.watches, 2);
    for (const watch of watches) await watch[Symbol.asyncDispose]();
    await sites.clock.advance(59_000);
    assert.equal(tokyo.watches, 2);
    await sites.until("they end", 5_000, () => tokyo.watches === 0);
    assert.equal(paris.federated.federation.endpoints.size, 0);
  });

  it("ask for nothing that nobody here asked for", async () => {
    const [paris, tokyo, lima] = [sites.get(0), sites.get(1), sites.get(2)];
    await tokyo.serve("echo-1", "echo");
    await paris.serve("web-0", "web");
    await paris.find("web");
    await sites.clock.advance(1_000);
    assert.deepEqual([lima.watches, tokyo.watches], [2, 2]);
    assert.deepEqual(paris.federated.federation.endpoints.names(), []);
  });

  it("show their own service where others have one of the same name, also when it comes later", async () => {
    const [paris, tokyo, lima] = [sites.get(0), sites.get(1), sites.get(2)];
    await tokyo.serve("echo-1", "echo");
    await lima.serve("echo-2", "echo");
    assert.deepEqual(await paris.services("echo"), ["echo"]);
    await paris.serve("echo-0", "echo");
    assert.deepEqual(await paris.services("echo"), ["echo"]);
    assert.deepEqual(await paris.find("echo"), ["echo-0", "echo-1@tokyo", "echo-2@lima"]);
  });

  it("list all that all of them show to who wants to see it", async () => {
    const [paris, tokyo, lima] = [sites.get(0), sites.get(1), sites.get(2)];
    await paris.serve("web-0", "web");
    await tokyo.serve("echo-1", "echo");
    await lima.serve("forwarder-lima", "forwarder");
    const found: string[] = [];
    const read = async () => {
      const query = { ...serving("", ""), url: "", networkServiceNames: [], networkServiceLabels: {} };
      for await (const { value } of paris.federated.endpoints.find(query, { watch: false }, { signal: forever })) found.push(value.name);
    };
    await sites.while(read());
    assert.deepEqual(found, ["web-0", "echo-1@tokyo"]);
    assert.deepEqual(await paris.services(""), ["echo@tokyo", "web"]);
  });

  it("find one endpoint of another by its name there", async () => {
    const [paris, tokyo] = [sites.get(0), sites.get(1)];
    await tokyo.serve("echo-1", "echo");
    const found: string[] = [];
    const read = async () => {
      const query = { ...serving("echo-1@tokyo", ""), url: "", networkServiceNames: [], networkServiceLabels: {} };
      for await (const { value } of paris.federated.endpoints.find(query, { watch: false }, { signal: forever })) found.push(value.name);
    };
    await sites.while(read());
    assert.deepEqual(found, ["echo-1@tokyo"]);
  });

  it("leave out what is no good here: a URL of another node's own, a name that has a site, too many services", async () => {
    const [paris, tokyo] = [sites.get(0), sites.get(1)];
    await tokyo.serve("echo-1", "echo");
    await tokyo.serveAt("unix:///run/nsmgr.sock", "echo-2", "echo");
    await tokyo.serve("echo-3", "echo", ...Array.from({ length: 64 }, (_, n) => `more-${n}`));
    assert.deepEqual(await paris.find("echo"), ["echo-1@tokyo"]);
  });

  it("say which ones there are when a name is of none of them", async () => {
    const paris = sites.get(0);
    await refused("not-found", () => paris.find("echo@rome"), /paris is not joined with a site "rome"; it is joined with lima, tokyo/);
  });

  it("keep the service of their forwarders to themselves", async () => {
    const [paris, tokyo] = [sites.get(0), sites.get(1)];
    await tokyo.serve("forwarder-tokyo", "forwarder");
    assert.deepEqual(await paris.find("forwarder"), []);
    assert.equal(tokyo.watches, 0);
    assert.deepEqual(await paris.find("forwarder@tokyo"), []);
  });
});

describe("a site that exports only some services", () => {
  it("shows no others, nor that an endpoint serves them too", async () => {
    await using sites = await Sites.open("paris");
    const tokyo = await sites.add({ name: "tokyo", exports: ["public-*", "echo"] });
    await sites.joinAll();
    const paris = sites.get(0);
    await tokyo.serve("a", "public-web", "secret");
    await tokyo.serve("b", "secret");
    await tokyo.serve("c", "echo");
    assert.deepEqual(await paris.services(""), ["echo@tokyo", "public-web@tokyo"]);
    assert.deepEqual(
      [await paris.find("secret"), await paris.find("public-web"), await paris.find("echo")],
      [[], ["a@tokyo"], ["c@tokyo"]],
    );
    await using watch = paris.watch("public-web");
    await sites.until("it is seen", 1_000, () => watch.shown.size === 1);
    assert.deepEqual([...watch.shown.values()][0]?.networkServiceNames, ["public-web", "public-web@tokyo"]);
  });
});

describe("who is not of a site", () => {
  it("may find there if it is the registry of a joined one, and register nothing", async () => {
    await using sites = await Sites.open("paris", "tokyo");
    await sites.joinAll();
    const [paris, tokyo] = [sites.get(0), sites.get(1)];
    await using peers = sites.network.peers({ identity: paris.identity, clock: sites.clock });
    const context = { signal: forever };
    const sentence = /paris.test\/registry may not register "echo": no rule of the site's policy allows it/;
    await using owner = sites.network.peers({ identity: tokyo.identity, clock: sites.clock });
    await owner.endpoints(tokyo.url).register(serving("x", "echo"), context);
    await refused("denied", () => peers.endpoints(tokyo.url).register(serving("y", "echo"), context), sentence);
    await refused("denied", () => peers.services(tokyo.url).register(service("echo"), context), sentence);
    await refused("denied", () => peers.endpoints(tokyo.url).unregister(serving("x", "echo"), context), /x belongs to/);
    assert.deepEqual(tokyo.audit.deniedTo(paris.registryId), ["register echo", "unregister x"]);
  });

  it("may not even find there if it is another program of a joined one", async () => {
    await using sites = await Sites.open("paris", "tokyo");
    await sites.joinAll();
    const [paris, tokyo] = [sites.get(0), sites.get(1)];
    await using peers = sites.network.peers({ identity: await paris.identityOf("node/paris-1/nsmgr"), clock: sites.clock });
    const find = async () => {
      for await (const _ of peers.endpoints(tokyo.url).find(serving("", "echo"), { watch: false }, { signal: forever }));
    };
    await refused("denied", find, /node\/paris-1\/nsmgr may not find "echo": no rule of the site's policy allows it/);
    assert.deepEqual(tokyo.audit.deniedTo("spiffe://paris.test/node/paris-1/nsmgr"), ["find echo"]);
  });
});
