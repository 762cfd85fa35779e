import assert from "node:assert/strict";
import { isStale } from "../../core/stale.js";
import { cutLine, mendLine } from "../lib/cut.js";
import { Lab, type Requested } from "../lib/lab.js";
import { nodeClient } from "../lib/nodeClient.js";
import { pingAll } from "../lib/ping.js";
import { until } from "../lib/until.js";

interface Listed {
  readonly name: string;
  readonly labels: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

describe("sites that are joined", function () {
  this.timeout(60_000);
  let lab: Lab;

  before(async () => {
    lab = await Lab.up("te-fed", { sites: "paris=1,tokyo=1,lima=1" });
    await Promise.all([lab.pod("client", "paris-1"), lab.pod("tokyo", "tokyo-1"), lab.pod("lima", "lima-1"), lab.pod("paris", "paris-1")]);
    await Promise.all([
      lab.serve("tokyo-1", "echo", "tokyo", "172.16.1.0/24"),
      lab.serve("paris-1", "local", "paris", "172.16.2.0/24"),
      lab.serve("tokyo-1", "local", "tokyo", "172.16.3.0/24"),
    ]);
  });

  after(async () => {
    await lab[Symbol.asyncDispose]();
  });

  const sites = (registry: string) =>
    lab.json<{ sites: { name: string; state: string }[] }>("site", "list", "--registry", registry).then((told) => told.sites);
  const state = async (of: string, registry: string) => (await sites(registry)).find(({ name }) => name === of)?.state;
  const attachment = async (wanted: string) => {
    const all = await lab.json<(Requested & { state: string })[]>("--node", "paris-1", "get", "attachments");
    const found = all.find(({ id }) => id === wanted);
    assert.ok(found, `paris-1 keeps no attachment ${wanted}`);
    return found;
  };
  const endpoints = (node: string) => lab.json<Listed[]>("--node", node, "get", "endpoints");

  it("have a registry and a trust domain each, and know one another", async () => {
    const { sites: all } = await lab.json<{ sites: { name: string; registries: string[]; trustDomain: string }[] }>("lab", "status");
    assert.deepEqual(
      all.map(({ name, registries, trustDomain }) => [name, registries, trustDomain]),
      ["paris", "tokyo", "lima"].map((name) => [name, [`${name}-1`], `${name}.te-fed.lab`]),
    );
    for (const { name } of all) {
      const others = all.filter((other) => other.name !== name).map((other) => other.name);
      assert.deepEqual((await sites(name)).map((site) => site.name).sort(), others.sort());
    }
  });

  it("give a pod of one what another serves, by its plain name", async () => {
    const connection = await lab.request("paris-1", "echo", "client");
    assert.match(connection.endpoint, /^echo-.*@tokyo$/);
    assert.deepEqual([connection.mechanism, connection.path.length], ["node-tunnel", 6]);
    await pingAll(lab, "client", connection.peerAddresses);
    // There it is known by the names of that site.
    const [there] = await lab.json<{ endpoint: string; service: string }[]>("--node", "tokyo-1", "get", "connections");
    assert.deepEqual([there?.service, there?.endpoint], ["echo", connection.endpoint.replace("@tokyo", "")]);
    await lab.close("paris-1", connection.id);
  });

  it("give it by its name with the site, also where a nearer one has that name", async () => {
    const far = await lab.request("lima-1", "echo@tokyo", "lima");
    assert.equal(far.service, "echo@tokyo");
    await pingAll(lab, "lima", far.peerAddresses);
    const there = await lab.request("paris-1", "local@tokyo", "client");
    assert.match(there.endpoint, /@tokyo$/);
    await pingAll(lab, "client", there.peerAddresses);
    const here = await lab.request("paris-1", "local@paris", "client");
    assert.doesNotMatch(here.endpoint, /@/);
    await pingAll(lab, "client", here.peerAddresses);
    await Promise.all([lab.close("lima-1", far.id), lab.close("paris-1", there.id), lab.close("paris-1", here.id)]);
  });

  it("go on by themselves while the line between two is cut, and agree within 2 s after", async () => {
    await endpoints("paris-1");
    const kept = await lab.request("paris-1", "echo", "client");
    await cutLine(lab);
    await until(
      "both notice",
      10_000,
      async () => (await state("tokyo", "paris")) === "away" && (await state("paris", "tokyo")) === "away",
    );
    const stale = (await endpoints("paris-1")).find(({ name }) => name === kept.endpoint);
    assert.equal(stale?.labels.echo?.["isthmus.stale"], "true", "what is known of tokyo is kept, and marked");
    for (const [node, pod, service] of [
      ["paris-1", "client", "local"],
      ["tokyo-1", "tokyo", "echo"],
    ] as const) {
      const began = performance.now();
      const connection = await lab.request(node, service, pod);
      assert.ok(connection.establishedMs < 1_000 && performance.now() - began < 5_000, `${connection.establishedMs} ms in ${node}`);
      assert.doesNotMatch(connection.endpoint, /@/);
      await lab.close(node, connection.id);
    }
    const missing = await lab.tryCtl("--node", "paris-1", "request-connection", "nothing@tokyo", "--pod", "client", "--timeout", "2s");
    assert.match(missing.stderr, /the site tokyo does not answer, and nothing is known of that there/);
    await lab.serve("tokyo-1", "echo", "tokyo", "172.16.1.128/25", "--name", "echo-new");
    await lab.serve("paris-1", "local", "paris", "172.16.2.128/25", "--name", "local-new");
    await mendLine(lab);
    const mended = performance.now();
    const agreed = await Promise.all([seen(lab, "tokyo-1", "local-new@paris"), seen(lab, "paris-1", "echo-new@tokyo")]);
    for (const at of agreed) assert.ok(at - mended <= 2_000, `agreed ${Math.round(at - mended)} ms after the cut`);
    // By then it may be healed, also by the new endpoint.
    await until("what was cut works again", 10_000, async () => {
      const { state: now, peerAddresses } = await attachment(kept.id);
      assert.equal(now, "up");
      await pingAll(lab, "client", peerAddresses);
      return true;
    });
    await lab.close("paris-1", kept.id);
    await lab.ctl("--node", "paris-1", "unserve", "local-new");
    await lab.ctl("--node", "tokyo-1", "unserve", "echo-new");
  });

  it("take over when the last local endpoint goes, for what is connected and for who comes, and give back when it returns", async () => {
    const before = await lab.request("paris-1", "local", "client");
    assert.doesNotMatch(before.endpoint, /@/);
    await lab.ctl("lab", "pod", "remove", "paris");
    await until("it is healed by tokyo", 10_000, async () => {
      const { endpoint, state: now } = await attachment(before.id);
      return endpoint.endsWith("@tokyo") && now === "up";
    });
    const during = await lab.request("paris-1", "local", "client");
    assert.match(during.endpoint, /@tokyo$/);
    await pingAll(lab, "client", during.peerAddresses);
    await lab.pod("paris", "paris-1");
    await lab.serve("paris-1", "local", "paris", "172.16.2.0/24");
    const after = await lab.request("paris-1", "local", "client");
    assert.doesNotMatch(after.endpoint, /@/);
    assert.match((await attachment(before.id)).endpoint, /@tokyo$/, "what works stays where it is");
    await Promise.all([before, during, after].map(({ id }) => lab.close("paris-1", id)));
  });

  it("are parted with a sentence for who still asks, and joined again by another token", async () => {
    await lab.ctl("site", "leave", "lima", "--registry", "paris");
    const refused = await lab.tryCtl("--node", "paris-1", "request-connection", "echo@lima", "--pod", "client");
    assert.match(refused.stderr, /paris is not joined with a site "lima"; it is joined with tokyo/);
    const token = (await lab.ctl("site", "invite", "--registry", "lima")).trim();
    assert.match(await lab.ctl("site", "join", token, "--registry", "paris"), /joined with lima \(lima\.te-fed\.lab\)/);
    const again = await lab.tryCtl("site", "join", token, "--registry", "tokyo");
    assert.match(again.stderr, /the token was used by the site paris at .*; it may be used once/);
    await until("it is reached", 5_000, async () => (await state("lima", "paris")) === "up");
    // The nodes have heard by themselves whom to trust again.
    await lab.serve("lima-1", "distant", "lima", "172.16.4.0/24");
    const connection = await lab.request("paris-1", "distant@lima", "client");
    await pingAll(lab, "client", connection.peerAddresses);
    await lab.close("paris-1", connection.id);
  });
});

/** When a node has that endpoint in its list, and no other there is one that nobody answers for. */
async function seen(lab: Lab, node: string, name: string): Promise<number> {
  await using client = nodeClient(lab, node);
  const { signal } = new AbortController();
  await until(`${node} sees ${name}`, 10_000, async () => {
    const all = await client.node.listEndpoints(signal);
    return all.some((endpoint) => endpoint.name === name) && !all.some(isStale);
  });
  return performance.now();
}
