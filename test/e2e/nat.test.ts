import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { check } from "../lib/command.js";
import { Lab, type Requested } from "../lib/lab.js";
import { bare, pingAll } from "../lib/ping.js";
import { PingStream } from "../lib/stream.js";
import { until } from "../lib/until.js";

const pattern = "a1b2c3d4e5f60718";
/** The tunnels inside and outside of routers, the control plane, and what a network needs to live. */
const allowed = "udp port 51820 or udp port 52001 or arp or icmp or icmp6 or tcp portrange 5001-5002 or tcp portrange 6001-6002";
const keepaliveMs = 25_000;

interface ListedEndpoint {
  readonly name: string;
  readonly url: string;
}

/** Paris is on the WAN as it is; the routers of the others translate. Osaka's lets all in, tokyo's no tunnels, lima's nothing. */
describe("nodes behind routers", function () {
  this.timeout(180_000);
  let lab: Lab;
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "isthmus-nat-"));
    const args = ["--nat", "tokyo=control,lima=closed,osaka"];
    lab = await Lab.up("te-nat", { sites: "paris=1,tokyo=2,lima=1,osaka=1", args });
    const nodes = { paris: "paris-1", tokyo: "tokyo-1", neighbour: "tokyo-2", lima: "lima-1", osaka: "osaka-1" };
    for (const [pod, node] of Object.entries(nodes)) await lab.pod(pod, node);
    await lab.serve("paris-1", "public", "paris", "172.16.1.0/24");
    await lab.serve("tokyo-1", "hidden", "tokyo", "172.16.2.0/24");
    await lab.serve("osaka-1", "open", "osaka", "172.16.3.0/24");
  });

  after(async () => {
    await rm(folder, { recursive: true, force: true });
    await lab[Symbol.asyncDispose]();
  });

  /** Where a node's WireGuard sees its peers, sorted. */
  async function endpoints(node: string): Promise<string[]> {
    const links = JSON.parse(await lab.exec(`${node}-mesh`, "ip", "-j", "link")) as { ifname: string }[];
    const device = links.find(({ ifname }) => ifname.startsWith("isw-"))?.ifname ?? assert.fail("no tunnel");
    const lines = (await check("wg", ["show", device, "endpoints"])).trim().split("\n");
    return lines.map((line) => line.split("\t")[1] ?? "").sort();
  }

  const seen = async (node: string, address: string) => (await endpoints(node)).find((endpoint) => endpoint.startsWith(`${address}:`));

  it("show other sites where they are reached from outside, and their own site where they are", async () => {
    const listed = async (node: string) =>
      (await lab.json<ListedEndpoint[]>("--node", node, "get", "endpoints")).find(({ name }) => name.startsWith("hidden-"))?.url;
    assert.equal(await listed("paris-1"), "tcp://tokyo.te-nat.lab@10.100.0.2:6001");
    assert.equal(await listed("tokyo-2"), "tcp://10.102.0.11:5001?external=10.100.0.2:6001");
  });

  it("reach one whose packets do not come through: the side that answered begins after a second", async () => {
    const rule = 'iifname "lan-osaka" udp dport 51820 ct state new drop';
    await lab.exec("wan", "nft", `table inet blocked { chain out { type filter hook forward priority -1; ${rule}; }; }`);
    const connection = await lab.request("osaka-1", "public", "osaka");
    assert.ok(connection.establishedMs > 1_000 && connection.establishedMs < 5_000, `${connection.establishedMs} ms`);
    await pingAll(lab, "osaka", connection.peerAddresses);
    assert.equal(await seen("paris-1", "10.100.0.4"), "10.100.0.4:52001");
    await lab.exec("wan", "nft", "delete table inet blocked");
    await lab.close("osaka-1", connection.id);
  });

  it("ask from behind a router that lets nothing in", async () => {
    for (const service of ["public", "open"]) {
      const connection = await lab.request("lima-1", service, "lima");
      assert.ok(connection.establishedMs < 3_000, `${connection.establishedMs} ms`);
      await pingAll(lab, "lima", connection.peerAddresses);
      await lab.close("lima-1", connection.id);
    }
    assert.ok(await seen("paris-1", "10.100.0.3"), "paris has learned where lima is");
    assert.ok(await seen("lima-1", "10.100.0.4"), "lima goes to osaka's router");
  });

  it("are asked behind a router that lets no tunnel in: they begin themselves, at once", async () => {
    const connection = await lab.request("paris-1", "hidden", "paris");
    assert.ok(connection.establishedMs < 3_000, `${connection.establishedMs} ms`);
    await pingAll(lab, "paris", connection.peerAddresses);
    assert.ok(await seen("tokyo-1", "10.101.0.11"));
    assert.ok(await seen("paris-1", "10.100.0.2"));
    await lab.close("paris-1", connection.id);
  });

  it("do the same with a WIREGUARD connection of its own, there and back", async () => {
    const there = await lab.request("paris-1", "hidden", "paris", "--mechanism", "wireguard");
    await pingAll(lab, "paris", there.peerAddresses);
    const from = await lab.request("lima-1", "public", "lima", "--mechanism", "wireguard");
    await pingAll(lab, "lima", from.peerAddresses);
    await Promise.all([lab.close("paris-1", there.id), lab.close("lima-1", from.id)]);
  });

  it("go to one another directly within their site", async () => {
    const connection = await lab.request("tokyo-2", "hidden", "neighbour");
    await pingAll(lab, "neighbour", connection.peerAddresses);
    assert.deepEqual(await endpoints("tokyo-2"), ["10.102.0.11:51820"]);
    await lab.close("tokyo-2", connection.id);
  });

  it("say so where neither side can be reached", async () => {
    const refused = await lab.tryCtl("--node", "lima-1", "request-connection", "hidden", "--pod", "lima", "--timeout", "5s");
    assert.match(refused.stderr, /neither node reaches the other: both have NSM_EXTERNAL_ADDRESS=none; forward a UDP port/);
  });

  it("take nobody for tokyo's at tokyo's address who is of another site, though that is joined too", async () => {
    const rule = 'iifname "lan-osaka" ip daddr 10.100.0.2 tcp dport 6001 dnat ip to 10.101.0.11:5001';
    await lab.exec("wan", "nft", `table inet stolen { chain in { type nat hook prerouting priority dstnat - 1; ${rule}; }; }`);
    const refused = await lab.tryCtl("--node", "osaka-1", "request-connection", "hidden", "--pod", "osaka", "--timeout", "5s");
    await lab.exec("wan", "nft", "delete table inet stolen");
    assert.match(
      refused.stderr,
      /10\.100\.0\.2:6001 is spiffe:\/\/paris\.te-nat\.lab\/node\/paris-1\/nsmgr, which is not an nsmgr \(spiffe:\/\/tokyo\.te-nat\.lab\//,
    );
    const connection = await lab.request("osaka-1", "hidden", "osaka");
    await pingAll(lab, "osaka", connection.peerAddresses);
    await lab.close("osaka-1", connection.id);
  });

  it("show nothing on the WAN but tunnels and the control plane", async () => {
    const file = join(folder, "wan.pcap");
    const connections: [pod: string, Requested][] = [];
    {
      await using tcpdump = lab.spawn("wan", "tcpdump", "-n", "-U", "--immediate-mode", "-i", "any", "-w", file);
      await tcpdump.printed(/listening on/);
      connections.push(["paris", await lab.request("paris-1", "hidden", "paris")]);
      connections.push(["lima", await lab.request("lima-1", "open", "lima")]);
      for (const [pod, { peerAddresses }] of connections) await pingAll(lab, pod, peerAddresses, "-p", pattern, "-s", "256");
      await tcpdump.stop();
    }
    const count = async (filter: string) => (await check("tcpdump", ["-n", "-r", file, filter])).split("\n").filter(Boolean).length;
    assert.ok((await count("udp")) > 20, "the tunnels were seen");
    assert.equal(await count(`not (${allowed})`), 0);
    assert.equal((await readFile(file)).includes(Buffer.from(pattern.repeat(4), "hex")), false);
    await lab.close("paris-1", connections[0]?.[1].id ?? "");
    await lab.close("lima-1", connections[1]?.[1].id ?? "");
  });

  /** The routers forget every flow, as one that was switched off and on: after it each gets another port. */
  async function forgetFlows(): Promise<void> {
    const life = (seconds: number) =>
      lab.exec("wan", "sysctl", "-qw", ...["", "_stream"].map((kind) => `net.netfilter.nf_conntrack_udp_timeout${kind}=${seconds}`));
    await life(1);
    // Only a packet gives a flow its new life.
    await pause(300);
    await lab.exec("wan", "nft", "table inet off { chain in { type filter hook prerouting priority raw; meta l4proto udp drop; }; }");
    // The outage itself, not a wait for something.
    await pause(3_000);
    await life(120);
    await lab.exec("wan", "nft", "delete table inet off");
  }

  it("go on when the router gives them another port, with all of our programs killed", async () => {
    const out = await lab.request("lima-1", "public", "lima");
    const back = await lab.request("paris-1", "hidden", "paris");
    const before = await endpoints("paris-1");
    await lab.ctl("lab", "kill");
    // Out: who is behind the router sends, and is heard at its new port with the next packet.
    await using fromBehind = await PingStream.start(lab, "lima", out.peerAddresses[0] ?? "", { everyMs: 50 });
    // Back: the other side sends to the port that is gone, until the keepalive comes from the new one.
    await using toBehind = await PingStream.start(lab, "paris", back.peerAddresses[0] ?? "", { everyMs: 50 });
    await forgetFlows();
    const answers = async () =>
      (await lab.tryExec("pod-paris", "ping", "-n", "-c", "1", "-W", "1", bare(back.peerAddresses[0] ?? ""))).code === 0;
    await until("packets cross again", keepaliveMs + 10_000, answers);
    const [first, second] = [await fromBehind.stop(), await toBehind.stop()];
    assert.ok(first.longestGapMs > 2_500 && first.longestGapMs < 5_000, `no answer for ${first.longestGapMs} ms from behind`);
    assert.ok(
      second.longestGapMs > 2_500 && second.longestGapMs < keepaliveMs + 5_000,
      `no answer for ${second.longestGapMs} ms to behind`,
    );
    const after = await endpoints("paris-1");
    for (const address of ["10.100.0.2:", "10.100.0.3:"]) {
      const of = (list: string[]) => list.find((endpoint) => endpoint.startsWith(address));
      assert.ok(of(before) !== undefined && of(after) !== undefined && of(before) !== of(after), `${before} and then ${after}`);
    }
    await lab.ctl("lab", "start");
    await Promise.all([pingAll(lab, "lima", out.peerAddresses), pingAll(lab, "paris", back.peerAddresses)]);
    assert.deepEqual(await endpoints("paris-1"), after, "what was learned is kept by who comes back");
    await Promise.all([lab.close("lima-1", out.id), lab.close("paris-1", back.id)]);
  });

  it("are found again where they were seen last, when forwarder and WireGuard are killed together", async () => {
    const connection = await lab.request("paris-1", "hidden", "paris");
    const before = await endpoints("paris-1");
    // What they are told by the kernel's or wireguard-go's memory is gone with it; the disk is looked at every 10 s.
    await until("the new ports are on disk", 15_000, async () => {
      const stored = await readFile("/var/lib/isthmus/te-nat/paris-1/forwarder/store/data.mdb", "latin1");
      return before.every((endpoint) => stored.includes(endpoint));
    });
    await lab.ctl("lab", "kill", "paris-1/forwarder");
    await lab.ctl("lab", "kill", "paris-1/wireguard-go");
    await lab.ctl("lab", "start", "paris-1/forwarder");
    await pingAll(lab, "paris", connection.peerAddresses);
    assert.deepEqual(await endpoints("paris-1"), before);
  });
});
