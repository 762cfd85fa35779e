import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { check, run } from "../lib/command.js";
import { mark, sender, vxlanPayload } from "../lib/forge.js";
import { Lab, type Requested } from "../lib/lab.js";
import { bare } from "../lib/ping.js";
import { PingStream } from "../lib/stream.js";

const pattern = "15741b6f0a5ec4d2";
/** What may be seen on the WAN: the tunnel, the control plane, and what a network needs to live. */
const allowed = "udp port 51820 or arp or icmp or icmp6 or tcp port 5001 or tcp port 5002";

interface VxlanLink {
  readonly ifname: string;
  readonly linkinfo: { readonly info_data: { readonly id: number } };
}

describe("what others can see and do", function () {
  this.timeout(120_000);
  let lab: Lab;
  let connection: Requested;
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "isthmus-secrecy-"));
    lab = await Lab.up("te-secret", { sites: "paris=1,tokyo=1,lima=1" });
    await Promise.all([lab.pod("client", "paris-1"), lab.pod("server", "tokyo-1"), lab.pod("third", "lima-1")]);
    await lab.serve("tokyo-1", "wire", "server", "172.16.1.0/24,2001:db8:1::/112", "--payload", "ethernet");
    connection = await lab.request("paris-1", "wire", "client");
    // The third node is a member of the mesh with a tunnel of its own to tokyo.
    await lab.request("lima-1", "wire", "third");
  });

  after(async () => {
    await rm(folder, { recursive: true, force: true });
    await lab[Symbol.asyncDispose]();
  });

  /** Captures all of the WAN while `during` runs, and returns the file. */
  async function capture(name: string, during: () => Promise<void>): Promise<string> {
    const file = join(folder, name);
    await using tcpdump = lab.spawn("wan", "tcpdump", "-n", "-U", "--immediate-mode", "-i", "any", "-w", file);
    await tcpdump.printed(/listening on/);
    await during();
    await tcpdump.stop();
    return file;
  }

  const count = async (file: string, filter: string): Promise<number> =>
    (await check("tcpdump", ["-n", "-r", file, filter])).split("\n").filter(Boolean).length;

  it("shows nothing on the WAN but the tunnel and the control plane, also while wireguard-go is killed and comes back", async () => {
    const file = await capture("wan.pcap", async () => {
      await using ping = await PingStream.start(lab, "client", connection.peerAddresses[0] ?? "", { more: ["-p", pattern, "-s", "256"] });
      await ping.answers(50);
      await lab.ctl("lab", "kill", "paris-1/wireguard-go");
      // Waits until its forwarder has started it again.
      await lab.ctl("lab", "start", "paris-1/wireguard-go");
      await ping.answers(60);
      await ping.stop();
    });
    assert.ok((await count(file, "udp port 51820")) > 200, "the tunnel was seen");
    assert.equal(await count(file, `not (${allowed})`), 0);
    assert.equal((await readFile(file)).includes(Buffer.from(pattern.repeat(4), "hex")), false);
  });

  it("shows of a WIREGUARD connection only the ports that trace names", async () => {
    await lab.serve("tokyo-1", "routed", "server", "172.16.7.0/24");
    const routed = await lab.request("paris-1", "routed", "client", "--mechanism", "wireguard");
    const { hops } = await lab.json<{ hops: { metrics: Record<string, string> }[] }>("--node", "paris-1", "trace", routed.id);
    const ports = hops.flatMap((hop) => hop.metrics["isthmus.listen_port"] ?? []);
    assert.equal(ports.length, 2, "a port a side");
    const file = await capture("wireguard.pcap", async () => {
      await using ping = await PingStream.start(lab, "client", routed.peerAddresses[0] ?? "", { more: ["-p", pattern, "-s", "256"] });
      await ping.answers(25);
      await ping.stop();
    });
    const named = ports.map((port) => `udp port ${port}`).join(" or ");
    assert.ok((await count(file, named)) > 40, "the connection was seen");
    assert.equal(await count(file, `not (${allowed} or ${named})`), 0);
    assert.equal((await readFile(file)).includes(Buffer.from(pattern.repeat(4), "hex")), false);
    await lab.close("paris-1", routed.id);
  });

  it("would have found the pattern if it had crossed in clear text", async () => {
    const file = join(folder, "pod.pcap");
    await using tcpdump = lab.spawn("pod-server", "tcpdump", "-n", "-U", "--immediate-mode", "-i", "any", "-c", "5", "-w", file, "icmp");
    await tcpdump.printed(/listening on/);
    await lab.tryExec(
      "pod-client",
      "ping",
      "-n",
      "-c",
      "5",
      "-i",
      "0.05",
      "-p",
      pattern,
      "-s",
      "256",
      bare(connection.peerAddresses[0] ?? ""),
    );
    await tcpdump.done;
    assert.equal((await readFile(file)).includes(Buffer.from(pattern.repeat(4), "hex")), true);
  });

  /** Sends a forged frame from `attacker` and tells how many arrived in the server's pod. */
  async function arrived(attacker: string, address: string, vni: number): Promise<number> {
    const file = join(folder, "forged.pcap");
    await using tcpdump = lab.spawn("pod-server", "tcpdump", "-n", "-U", "--immediate-mode", "-i", "any", "-w", file);
    await tcpdump.printed(/listening on/);
    const program = sender(vxlanPayload(vni), address, 4789);
    await check("nsenter", [`--net=${lab.netns(attacker)}`, "--", process.execPath, "-e", program]);
    // A ping after it over the same way: what was forged came before it or not at all.
    await lab.tryExec("pod-client", "ping", "-n", "-c", "2", "-i", "0.2", "-W", "1", bare(connection.peerAddresses[0] ?? ""));
    await tcpdump.stop();
    const bytes = await readFile(file);
    return bytes.toString("hex").split(mark.repeat(6)).length - 1;
  }

  const mesh = (node: string): string => `${lab.prefix}-${node}-mesh`;

  /** The node's own address in the tunnels. */
  async function tunnelAddress(node: string): Promise<string> {
    const links = JSON.parse(await check("ip", ["-j", "-n", mesh(node), "-6", "addr", "show"])) as {
      ifname: string;
      addr_info: { local: string }[];
    }[];
    return links.flatMap((link) => link.addr_info).find((one) => one.local.startsWith("fd"))?.local ?? "";
  }

  /** Where a VXLAN device sends, which is also whom it may hear. */
  async function peerOf(node: string, device: string): Promise<string> {
    const entries = JSON.parse(await check("bridge", ["-j", "-n", mesh(node), "fdb", "show", "dev", device])) as { dst?: string }[];
    return entries.find((entry) => entry.dst)?.dst ?? "";
  }

  it("lets no forged frame into a pod: from the WAN, from the node's LAN, or from a third node of the mesh", async () => {
    const links = JSON.parse(await check("ip", ["-j", "-d", "-n", mesh("tokyo-1"), "link", "show", "type", "vxlan"])) as VxlanLink[];
    assert.equal(links.length, 2);
    const [lan] = JSON.parse(await lab.exec("tokyo-1", "ip", "-j", "addr", "show", "scope", "global")) as {
      addr_info: { local: string }[];
    }[];
    const underlay = lan?.addr_info[0]?.local ?? "";
    const [tokyo, lima] = await Promise.all([tunnelAddress("tokyo-1"), tunnelAddress("lima-1")]);
    for (const link of links) {
      const vni = link.linkinfo.info_data.id;
      assert.equal(await arrived("wan", underlay, vni), 0, "from the WAN");
      assert.equal(await arrived("tokyo-1", underlay, vni), 0, "from the node's own network");
      // Lima may speak on its own connection, which shows that the forged frame is a good one; on the other's it may not.
      const own = (await peerOf("tokyo-1", link.ifname)) === lima;
      assert.equal(await arrived("lima-1-mesh", tokyo, vni), own ? 3 : 0, own ? "on its own connection" : "from the third node");
    }
  });

  it("shows a pod nothing of the mesh but its own end", async () => {
    const links = JSON.parse(await lab.exec("pod-client", "ip", "-j", "-d", "link", "show")) as {
      ifname: string;
      ifalias?: string;
      linkinfo?: { info_kind: string };
    }[];
    assert.deepEqual(
      links.map((link) => [link.ifname, link.linkinfo?.info_kind, link.ifalias]),
      [
        ["lo", undefined, undefined],
        [connection.interface, "veth", undefined],
      ],
    );
    assert.equal((await run("ip", ["-n", `${lab.prefix}-pod-client`, "route", "show", "default"])).stdout, "");
  });
});
