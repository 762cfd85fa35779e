import assert from "node:assert/strict";
import { type Attachment, AttachRequest } from "../../api/gen/isthmus/v1/node.js";
import { check } from "../lib/command.js";
import { Lab } from "../lib/lab.js";
import { nodeClient } from "../lib/nodeClient.js";
import { bare } from "../lib/ping.js";

const clients = [
  { node: "paris-1", pod: "one" },
  { node: "paris-2", pod: "two" },
] as const;

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
    const opened = (await Promise.all(clients.map((client) => open(lab, client, 100)))).flat();
    const addresses = opened.map(({ attachment }) => attachment.connection?.context?.ipContext?.srcIpAddrs[0] ?? "");
    assert.equal(new Set(addresses).size, 200);
    for (const { pod, attachment } of opened) {
      const address = bare(attachment.connection?.context?.ipContext?.dstIpAddrs[0] ?? "");
      const done = await lab.tryExec(`pod-${pod}`, "ping", "-n", "-c", "1", "-W", "2", "-I", attachment.interface, address);
      assert.equal(done.code, 0, `${pod} ${attachment.interface}: ${done.stdout}`);
    }
    await Promise.all(
      clients.map(({ node }) =>
        closeAll(
          lab,
          node,
          opened.filter((one) => one.node === node),
        ),
      ),
    );
    for (const node of ["paris-1", "paris-2", "tokyo-1"]) {
      assert.deepEqual(await lab.json<unknown[]>("--node", node, "get", "connections"), []);
      const links = JSON.parse(await check("ip", ["-j", "-n", `${lab.prefix}-${node}-mesh`, "link", "show"])) as { ifname: string }[];
      assert.ok(links.length <= 2, `${node} still has ${links.map((link) => link.ifname).join(", ")}`);
    }
  });
});

interface Opened {
  readonly node: string;
  readonly pod: string;
  readonly attachment: Attachment;
}

/** `count` requests from one node, all under way at once. */
async function open(lab: Lab, client: { readonly node: string; readonly pod: string }, count: number): Promise<Opened[]> {
  await using peer = nodeClient(lab, client.node);
  const netnsUrl = `file://${lab.netns(`pod-${client.pod}`)}`;
  const request = AttachRequest.fromPartial({ networkService: "many", pod: { name: client.pod, netnsUrl }, timeoutMs: 60_000 });
  const ask = (): Promise<Attachment> => peer.node.attach(request, AbortSignal.timeout(60_000));
  return await Promise.all(Array.from({ length: count }, async () => ({ ...client, attachment: await ask() })));
}

async function closeAll(lab: Lab, node: string, opened: readonly Opened[]): Promise<void> {
  await using peer = nodeClient(lab, node);
  await Promise.all(opened.map(({ attachment }) => peer.node.detach({ id: attachment.id }, AbortSignal.timeout(60_000))));
}
