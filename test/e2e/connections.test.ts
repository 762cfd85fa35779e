import assert from "node:assert/strict";
import { AttachRequest } from "../../api/gen/isthmus/v1/node.js";
import { attachmentView, type ConnectionView } from "../../cli/view.js";
import { check } from "../lib/command.js";
import { Lab, type Requested } from "../lib/lab.js";
import { nodeClient } from "../lib/nodeClient.js";
import { bare, parsePing, pingAll } from "../lib/ping.js";

/** Bits per second of one short TCP stream from `client`'s pod to `server`'s. */
async function throughput(lab: Lab, client: string, server: string, address: string): Promise<number> {
  await using listener = lab.spawn(`pod-${server}`, "iperf3", "--server", "--one-off", "--forceflush");
  await listener.printed(/Server listening/);
  const report = await lab.exec(`pod-${client}`, "iperf3", "--json", "--time", "1", "--client", bare(address));
  return (JSON.parse(report) as { end: { sum_received: { bits_per_second: number } } }).end.sum_received.bits_per_second;
}

async function proves(lab: Lab, connection: Requested, client: string, server: string): Promise<void> {
  assert.equal(connection.peerAddresses.length, 2, "an address of each family");
  await pingAll(lab, client, connection.peerAddresses);
  await pingAll(lab, server, connection.addresses);
  for (const address of connection.peerAddresses) {
    assert.ok((await throughput(lab, client, server, address)) > 1_000_000, `iperf3 to ${address}`);
  }
}

describe("connections between pods", function () {
  this.timeout(120_000);
  let lab: Lab;

  before(async () => {
    lab = await Lab.up("te-conn", { sites: "paris=2,tokyo=1" });
    await Promise.all([lab.pod("client", "paris-1"), lab.pod("near", "paris-1"), lab.pod("beside", "paris-2"), lab.pod("far", "tokyo-1")]);
    await Promise.all([
      lab.serve("paris-1", "near", "near", "172.16.1.0/24,2001:db8:1::/112"),
      lab.serve("paris-2", "beside", "beside", "172.16.2.0/24,2001:db8:2::/112"),
      lab.serve("tokyo-1", "far", "far", "172.16.3.0/24,2001:db8:3::/112"),
      lab.serve("tokyo-1", "wire", "far", "172.16.4.0/24,2001:db8:4::/112", "--payload", "ethernet"),
    ]);
  });

  after(async () => {
    await lab[Symbol.asyncDispose]();
  });

  it("carries packets within one node", async () => {
    const connection = await lab.request("paris-1", "near", "client");
    assert.equal(connection.path.length, 4);
    assert.equal(connection.mechanism, "kernel");
    await proves(lab, connection, "client", "near");
    await lab.close("paris-1", connection.id);
  });

  for (const [service, place, server] of [
    ["beside", "the other node of the site", "beside"],
    ["far", "another site", "far"],
  ] as const) {
    it(`carries packets to ${place} in the node tunnel`, async () => {
      const connection = await lab.request("paris-1", service, "client");
      assert.equal(connection.path.length, 6);
      assert.equal(connection.mechanism, "node-tunnel");
      assert.equal(connection.encrypted, true);
      await proves(lab, connection, "client", server);
      await lab.close("paris-1", connection.id);
    });
  }

  it("carries frames to another site: an ARP request and a neighbour solicitation cross", async () => {
    const connection = await lab.request("paris-1", "wire", "client");
    assert.equal(connection.payload, "ethernet");
    const [four, six] = connection.peerAddresses.map(bare) as [string, string];
    await using capture = lab.spawn(
      "pod-far",
      "tcpdump",
      "-n",
      "-l",
      "--immediate-mode",
      "-i",
      "any",
      "-c",
      "2",
      "arp[6:2] = 1 or (icmp6 and ip6[40] = 135)",
    );
    await capture.printed(/listening on/);
    const heard = capture.printed(/neighbor solicitation[\s\S]*Request who-has|Request who-has[\s\S]*neighbor solicitation/);
    await lab.exec("pod-client", "ip", "neigh", "flush", "dev", connection.interface);
    await pingAll(lab, "client", [four, six]);
    await heard;
    await proves(lab, connection, "client", "far");
    await lab.close("paris-1", connection.id);
  });

  it("carries packets to another site by WIREGUARD, as an NSM peer would", async () => {
    const connection = await lab.request("paris-1", "far", "client", "--mechanism", "wireguard");
    assert.equal(connection.mechanism, "wireguard");
    assert.equal(connection.encrypted, true);
    await proves(lab, connection, "client", "far");
    await lab.close("paris-1", connection.id);
  });

  it("carries frames to another site in plain text, only because it was asked for by name", async () => {
    const connection = await lab.request("paris-1", "wire", "client", "--mechanism", "vxlan");
    assert.equal(connection.mechanism, "vxlan");
    assert.equal(connection.encrypted, false);
    await proves(lab, connection, "client", "far");
    await lab.close("paris-1", connection.id);
  });

  it("gives one client pod twenty connections", async () => {
    const connections = await Promise.all(Array.from({ length: 20 }, () => lab.request("paris-1", "far", "client")));
    assert.equal(new Set(connections.map((one) => one.interface)).size, 20);
    assert.equal(new Set(connections.flatMap((one) => one.addresses)).size, 40);
    for (const one of connections) {
      const done = await lab.tryExec(
        "pod-client",
        "ping",
        "-n",
        "-c",
        "1",
        "-W",
        "2",
        "-I",
        one.interface,
        bare(one.peerAddresses[0] ?? ""),
      );
      assert.equal(parsePing(done.stdout).lost, 0, done.stdout);
    }
    await lab.close("paris-1", ...connections.map(({ id }) => id));
  });

  it("serves twenty clients from one pod", async () => {
    const names = Array.from({ length: 20 }, (_, index) => `many-${index}`);
    await lab.ctl("lab", "pod", "add", ...names, "--node", "paris-2");
    await using peer = nodeClient(lab, "paris-2");
    const ask = async (name: string): Promise<ConnectionView> => {
      const pod = { name, netnsUrl: `file://${lab.netns(`pod-${name}`)}` };
      return attachmentView(
        await peer.node.attach(AttachRequest.fromPartial({ networkService: "far", pod, timeoutMs: 30_000 }), AbortSignal.timeout(60_000)),
      );
    };
    const connections = await Promise.all(names.map(ask));
    assert.equal(new Set(connections.flatMap((one) => one.addresses)).size, 40);
    await Promise.all(connections.map((one, index) => pingAll(lab, names[index] ?? "", one.peerAddresses)));
    await lab.close("paris-2", ...connections.map(({ id }) => id));
    await lab.ctl("lab", "pod", "remove", ...names);
  });

  it("leaves a node nothing of ours but the node tunnel when all is closed", async () => {
    for (const node of ["paris-1", "paris-2", "tokyo-1"]) {
      const links = JSON.parse(await check("ip", ["-j", "-n", `${lab.prefix}-${node}-mesh`, "link", "show"])) as { ifname: string }[];
      const names = links.map((link) => link.ifname).filter((name) => name !== "lo");
      assert.ok(names.length <= 1, `${node} still has ${names.join(", ")}`);
    }
    assert.match(await lab.exec("pod-client", "ip", "-br", "link"), /^lo\s/);
  });
});
