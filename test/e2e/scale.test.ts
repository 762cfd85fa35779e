import assert from "node:assert/strict";
import { check } from "../lib/command.js";
import { Lab, type Requested } from "../lib/lab.js";
import { bare } from "../lib/ping.js";

describe("two hundred requests at once", function () {
  this.timeout(240_000);
  let lab: Lab;

  before(async () => {
    lab = await Lab.up("te-scale", { sites: "paris=2,tokyo=1" });
    await Promise.all([lab.pod("one", "paris-1"), lab.pod("two", "paris-2"), lab.pod("server", "tokyo-1")]);
    await lab.serve("tokyo-1", "many", "server", "172.16.16.0/20");
  });

  after(async () => {
    await lab[Symbol.asyncDispose]();
  });

  it("all work, all addresses differ, and closing them leaves nothing", async () => {
    const clients = [
      { node: "paris-1", pod: "one" },
      { node: "paris-2", pod: "two" },
    ];
    const requested = await requestAll(lab, clients, 100);
    assert.equal(new Set(requested.flatMap((one) => one.connection.addresses)).size, 200);
    for (const { pod, connection } of requested) {
      const done = await lab.tryExec(
        `pod-${pod}`,
        "ping",
        "-n",
        "-c",
        "1",
        "-W",
        "2",
        "-I",
        connection.interface,
        bare(connection.peerAddresses[0] ?? ""),
      );
      assert.equal(done.code, 0, `${pod} ${connection.interface}: ${done.stdout}`);
    }
    for (const { node } of clients)
      await lab.ctl("--node", node, "close-connection", ...requested.filter((one) => one.node === node).map((one) => one.connection.id));
    for (const node of ["paris-1", "paris-2", "tokyo-1"]) {
      assert.deepEqual(await lab.json<unknown[]>("--node", node, "get", "connections"), []);
      const links = JSON.parse(await check("ip", ["-j", "-n", `${lab.prefix}-${node}-mesh`, "link", "show"])) as { ifname: string }[];
      assert.ok(links.length <= 2, `${node} still has ${links.map((link) => link.ifname).join(", ")}`);
    }
  });
});

/** `each` requests per client, all under way at once through one API client a node. */
async function requestAll(
  lab: Lab,
  clients: readonly { node: string; pod: string }[],
  each: number,
): Promise<{ node: string; pod: string; connection: Requested }[]> {
  const answers = await Promise.all(
    clients.map(async (client) => {
      const text = await lab.ctl(
        "--node",
        client.node,
        "request-connection",
        "many",
        "--pod",
        client.pod,
        "--count",
        String(each),
        "-o",
        "json",
      );
      return (JSON.parse(text) as Requested[]).map((connection) => ({ ...client, connection }));
    }),
  );
  return answers.flat();
}
