import assert from "node:assert/strict";
import { check } from "../lib/command.js";
import { Lab, type Requested } from "../lib/lab.js";
import { PingStream } from "../lib/stream.js";
import { until } from "../lib/until.js";

interface Described {
  readonly name: string;
}

describe("an endpoint that dies", function () {
  this.timeout(120_000);
  let lab: Lab;

  beforeEach(async () => {
    lab = await Lab.up("te-heal", { sites: "paris=1,tokyo=1,lima=1" });
    await Promise.all([lab.pod("client", "paris-1"), lab.pod("tokyo", "tokyo-1"), lab.pod("lima", "lima-1")]);
    // The same range on both, so that the address stays and one ping sees it all.
    await Promise.all([lab.serve("tokyo-1", "echo", "tokyo", "172.16.1.0/24"), lab.serve("lima-1", "echo", "lima", "172.16.1.0/24")]);
  });

  afterEach(async () => {
    await lab[Symbol.asyncDispose]();
  });

  const used = (connection: Requested): "tokyo" | "lima" => (connection.endpoint.includes("tokyo") ? "tokyo" : "lima");

  /** Breaks the endpoint in use and shows that the other took over within 3 s, on the same interface. */
  async function survives(breakIt: (site: "tokyo" | "lima") => Promise<unknown>): Promise<void> {
    const connection = await lab.request("paris-1", "echo", "client");
    const index = await lab.ifindex("client", connection.interface);
    await using ping = await PingStream.start(lab, "client", connection.peerAddresses[0] ?? "", { everyMs: 20 });
    const site = used(connection);
    await breakIt(site);
    await until("the attachment names the other endpoint", 5_000, async () => {
      const [one] = await lab.json<{ endpoint: string; state: string }[]>("--node", "paris-1", "get", "attachments");
      return one?.state === "up" && one.endpoint !== connection.endpoint;
    });
    await new Promise((resolve) => setTimeout(resolve, 500));
    const counted = await ping.stop();
    assert.ok(counted.longestGapMs > 0 && counted.longestGapMs <= 3_000, `no answer for ${counted.longestGapMs} ms`);
    assert.equal(await lab.ifindex("client", connection.interface), index);
  }

  it("with its pod: the other one takes over within 3 s", () => survives((site) => lab.ctl("lab", "pod", "remove", site)));

  it("with its node: the other one takes over within 3 s", () =>
    survives(async (site) => {
      const links = JSON.parse(await check("ip", ["-j", "-n", `${lab.prefix}-${site}-1`, "link", "show", "type", "veth"])) as {
        ifname: string;
      }[];
      await lab.exec(`${site}-1`, "ip", "link", "set", links[0]?.ifname ?? "", "down");
    }));

  it("not itself but the programs of its node: no packet is lost and the endpoint stays", async () => {
    const connection = await lab.request("paris-1", "echo", "client");
    await using ping = await PingStream.start(lab, "client", connection.peerAddresses[0] ?? "");
    await lab.ctl("lab", "kill", `${used(connection)}-1`);
    // The time in which a wrong heal would have happened.
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    const counted = await ping.stop();
    assert.equal(counted.lost, 0);
    const [one] = await lab.json<{ endpoint: string }[]>("--node", "paris-1", "get", "attachments");
    assert.equal(one?.endpoint, connection.endpoint);
  });

  it("and whose nsmgr does not come back vanishes from the registry after its expiry", async () => {
    const listed = async (): Promise<string[]> =>
      (await lab.json<Described[]>("--node", "paris-1", "get", "endpoints")).map((one) => one.name).filter((name) => name.includes("echo"));
    assert.equal((await listed()).length, 2);
    await lab.ctl("lab", "kill", "lima-1/nsmgr");
    await until("one endpoint is left", 75_000, async () => (await listed()).length === 1);
  });

  it("leaves nothing at any hop within 2 s when the client's pod is removed", async () => {
    await lab.request("paris-1", "echo", "client");
    await lab.ctl("lab", "pod", "remove", "client");
    for (const node of ["paris-1", "tokyo-1", "lima-1"]) {
      await until(`${node} has let go`, 2_000, async () => {
        const connections = await lab.json<unknown[]>("--node", node, "get", "connections");
        const links = JSON.parse(await check("ip", ["-j", "-n", `${lab.prefix}-${node}-mesh`, "link", "show"])) as { ifname: string }[];
        return connections.length === 0 && links.length <= 2;
      });
    }
  });
});
