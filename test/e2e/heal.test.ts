import assert from "node:assert/strict";
import { check } from "../lib/command.js";
import { Lab, type Requested } from "../lib/lab.js";
import { PingStream } from "../lib/stream.js";
import { until } from "../lib/until.js";

interface Named {
  readonly name: string;
}

interface ListedAttachment {
  readonly id: string;
  readonly endpoint: string;
  readonly state: string;
}

const sites = ["tokyo", "lima"] as const;
type Site = (typeof sites)[number];
const expiryMs = 15_000;

describe("an endpoint that dies", function () {
  this.timeout(120_000);
  let lab: Lab;

  before(async () => {
    process.env.NSM_EXPIRE_PERIOD = `${expiryMs / 1000}s`;
    lab = await Lab.up("te-heal", { sites: "paris=1,tokyo=1,lima=1" });
  });

  after(async () => {
    delete process.env.NSM_EXPIRE_PERIOD;
    await lab[Symbol.asyncDispose]();
  });

  /** Everything that the test before has ended is there again. */
  beforeEach(async () => {
    await lab.ctl("lab", "start");
    const { pods } = await lab.json<{ pods: Named[] }>("lab", "status");
    const missing = (pod: string): boolean => pods.every(({ name }) => name !== pod);
    if (missing("client")) await lab.pod("client", "paris-1");
    await Promise.all(sites.filter(missing).map(serve));
    await until("paris finds both endpoints", 15_000, async () => (await endpoints()).length === 2);
  });

  afterEach(async () => {
    for (const { id } of await attachments()) await lab.close("paris-1", id);
  });

  /** Serves in a new pod: the same range at both sites, so that the address stays and one ping sees it all. */
  async function serve(site: Site): Promise<void> {
    await lab.pod(site, `${site}-1`);
    await lab.serve(`${site}-1`, "echo", site, "172.16.1.0/24");
  }

  const attachments = (): Promise<ListedAttachment[]> => lab.json<ListedAttachment[]>("--node", "paris-1", "get", "attachments");

  const endpoints = async (): Promise<Named[]> =>
    (await lab.json<Named[]>("--node", "paris-1", "get", "endpoints")).filter(({ name }) => name.includes("echo"));

  const used = (connection: Requested): Site => (connection.endpoint.includes("tokyo") ? "tokyo" : "lima");

  /** Breaks the endpoint in use and shows that the other took over within 3 s, on the same interface. */
  async function survives(breakIt: (site: Site) => Promise<unknown>): Promise<void> {
    const connection = await lab.request("paris-1", "echo", "client");
    const index = await lab.ifindex("client", connection.interface);
    await using ping = await PingStream.start(lab, "client", connection.peerAddresses[0] ?? "", { everyMs: 20 });
    const site = used(connection);
    await breakIt(site);
    await until("the attachment names the other endpoint", 5_000, async () => {
      const [one] = await attachments();
      return one?.state === "up" && one.endpoint !== connection.endpoint;
    });
    await ping.answers(10);
    const counted = await ping.stop();
    assert.ok(counted.longestGapMs > 0 && counted.longestGapMs <= 3_000, `no answer for ${counted.longestGapMs} ms`);
    assert.equal(await lab.ifindex("client", connection.interface), index);
  }

  it("with its pod: the other one takes over within 3 s", () => survives((site) => lab.ctl("lab", "pod", "remove", site)));

  it("not itself but the programs of its node: no packet is lost and the endpoint stays", async () => {
    const connection = await lab.request("paris-1", "echo", "client");
    await using ping = await PingStream.start(lab, "client", connection.peerAddresses[0] ?? "");
    await lab.ctl("lab", "kill", `${used(connection)}-1`);
    // The time in which a wrong heal would have happened.
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    const counted = await ping.stop();
    assert.equal(counted.lost, 0);
    const [one] = await attachments();
    assert.equal(one?.endpoint, connection.endpoint);
    // Now, and not before the next test: what is closed while they are away they do not hear of.
    await lab.ctl("lab", "start");
  });

  it("and whose nsmgr does not come back vanishes from the registry after its expiry", async () => {
    await lab.ctl("lab", "kill", "lima-1/nsmgr");
    await until("one endpoint is left", expiryMs + 10_000, async () => (await endpoints()).length === 1);
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

  // The last one: its node stays away.
  it("with its node: the other one takes over within 3 s", () =>
    survives(async (site) => {
      const links = JSON.parse(await check("ip", ["-j", "-n", `${lab.prefix}-${site}-1`, "link", "show", "type", "veth"])) as {
        ifname: string;
      }[];
      await lab.exec(`${site}-1`, "ip", "link", "set", links[0]?.ifname ?? "", "down");
    }));
});
