import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { mark } from "../lib/forge.js";
import { arpRequest, everybody, experimental, hexMac, ipPacket, send } from "../lib/frames.js";
import { Lab, type Requested } from "../lib/lab.js";
import { holdsMembersToPolicy } from "../lib/memberPolicy.js";
import { bare, parsePing, pingAll } from "../lib/ping.js";
import { PingStream } from "../lib/stream.js";
import { until } from "../lib/until.js";

const pods = { a: "paris-1", a2: "paris-1", b: "paris-2", c: "tokyo-1", d: "lima-1" } as const;
type Pod = keyof typeof pods;
const names = Object.keys(pods) as Pod[];

describe("an L2 segment", function () {
  this.timeout(180_000);
  let lab: Lab;
  let folder: string;
  const joined = {} as Record<Pod, Requested>;
  const macs = {} as Record<Pod, string>;

  const addresses = (pod: Pod): string[] => joined[pod].addresses.map(bare);
  const first = (pod: Pod): string => addresses(pod)[0] ?? assert.fail(`${pod} has no address`);
  const listen = async (where: string, device: string, filter: string) => {
    const capture = lab.spawn(where, "tcpdump", "-n", "-e", "-l", "-xx", "--immediate-mode", "-i", device, filter);
    await capture.printed(/listening on/);
    return capture;
  };
  const bytes = (printed: string): string => printed.replaceAll(/0x[0-9a-f]{4}: {2}|\s/g, "");

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "isthmus-switched-"));
    lab = await Lab.up("te-seg2", { sites: "paris=2,tokyo=1,lima=2" });
    await lab.ctl(
      ...["create", "segment", "floor", "--layer", "l2", "--prefix", "10.61.0.0/16,fd61::/48"],
      ...["--sites", "paris,tokyo,lima", "--dns-domain", "mesh", "--allow-spoofing"],
    );
    for (const [pod, node] of Object.entries(pods)) await lab.pod(pod, node);
    await lab.pod("stranger", "lima-2");
    for (const node of ["tokyo-1", "lima-1"])
      await until(`${node} knows the segment`, 5_000, async () => (await lab.ctl("--node", node, "get", "services")).includes("floor"));
    await Promise.all(names.map(async (pod) => (joined[pod] = await lab.request(pods[pod], "floor", pod))));
    const members = await lab.json<{ name: string; mac: string }[]>("--node", "paris-1", "get", "members", "floor");
    for (const { name, mac } of members) macs[name as Pod] = mac;
  });

  after(async () => {
    await rm(folder, { recursive: true, force: true });
    await lab[Symbol.asyncDispose]();
  });

  it("puts every member on one link: addresses of all, and link-local ones", async () => {
    await Promise.all(names.map((from) => pingAll(lab, from, names.flatMap(addresses))));
    for (const to of names) {
      const own = await until(`${to} has a link-local address`, 5_000, async () => {
        const links = JSON.parse(await lab.exec(`pod-${to}`, "ip", "-j", "-6", "addr", "show", "dev", "nsm0", "scope", "link")) as {
          addr_info?: { local?: string; tentative?: boolean }[];
        }[];
        return links
          .flatMap(({ addr_info: found = [] }) => found)
          .find(({ local, tentative }) => local !== undefined && tentative !== true);
      });
      await pingAll(lab, "a", [`${own.local}%nsm0`]);
    }
  });

  it("takes frames of any kind, and multicast, to exactly the members", async () => {
    const heard = await Promise.all(
      ["pod-b", "pod-c", "pod-d", "pod-a2"].map((where) => listen(where, "nsm0", `ether proto 0x${experimental}`)),
    );
    await using elsewhere = await listen("lima-2-mesh", "any", "udp");
    await using wan = await listen("wan", "any", "udp");
    const arrived = heard.map((capture) => capture.printed(/ethertype Unknown \(0x88b5\)/));
    const tunnelled = wan.printed(/10\.101\.0\.11\.51820 > 10\.102\.0\.11\.51820/);
    await send(lab, "a", "nsm0", macs.a, experimental + mark);
    await Promise.all([...arrived, tunnelled]);
    for (const capture of heard) await capture[Symbol.asyncDispose]();
    const onWan = (await wan.stop()).stdout;
    assert.equal(bytes(onWan).includes(mark), false, "what is in it was not");
    const receiver = `const s=require("node:dgram").createSocket({type:"udp4",reuseAddr:true});s.bind(5353,()=>{s.addMembership("224.0.0.251",process.argv[1]);console.log("ready")});s.on("message",(m)=>{console.log(String(m))});setTimeout(()=>process.exit(),20000)`;
    const receivers = (["a2", "b", "c", "d"] as const).map((pod) => lab.spawn(`pod-${pod}`, process.execPath, "-e", receiver, first(pod)));
    await Promise.all(receivers.map((one) => one.printed(/ready/)));
    const got = receivers.map((one) => one.printed(/who is there/));
    const asker = `const s=require("node:dgram").createSocket("udp4");s.bind(0,process.argv[1],()=>{s.setMulticastInterface(process.argv[1]);let n=5;const go=()=>n--?s.send("who is there",5353,"224.0.0.251",()=>setTimeout(go,100)):s.close();go()})`;
    await lab.exec("pod-a", process.execPath, "-e", asker, first("a"));
    await Promise.all(got);
    for (const one of receivers) await one[Symbol.asyncDispose]();
    assert.doesNotMatch((await elsewhere.stop()).stdout, /VXLAN/, "nothing of it goes to a node without members");
  });

  it("answers ARP for a known member on the spot, and asks all for an unknown one", async () => {
    await using there = await listen("pod-c", "nsm0", "arp");
    await lab.exec("pod-a", "ip", "neigh", "flush", "dev", "nsm0");
    await pingAll(lab, "a", [first("c")]);
    const asked = there.printed(/who-has 10\.61\.77\.77/);
    await lab.tryExec("pod-a", "ping", "-n", "-c", "1", "-W", "1", "10.61.77.77");
    await asked;
    const { stdout } = await there.stop();
    assert.doesNotMatch(stdout, new RegExp(`who-has ${first("c")} .*tell ${first("a")}`));
  });

  it("lets no member send as another: not its MAC, not its IP, not in ARP, not behind a VLAN tag", async () => {
    const forged = {
      "another's MAC": [macs.b, experimental + mark],
      "a MAC that nobody has": ["02:de:ad:be:ef:01", experimental + mark],
      "another's address in ARP": [macs.a, arpRequest(macs.a, first("b"), first("c")) + mark],
      "another's MAC in ARP": [macs.a, arpRequest(macs.b, first("a"), first("c")) + mark],
      "another's address": [macs.a, ipPacket(first("b"), mark)],
      "a VLAN tag": [macs.a, `81000005${experimental}${mark}`],
      "VLAN 0": [macs.a, `81000000${ipPacket(first("b"), mark)}`],
    } as const;
    for (const [what, [source, rest]] of Object.entries(forged)) {
      const captures = await Promise.all(["pod-c", "pod-a2"].map((where) => listen(where, "nsm0", "ether broadcast")));
      const arrived = captures.map((capture) => capture.printed(/0x88b5/));
      await send(lab, "a", "nsm0", source, rest);
      // What comes after it has come: so had it.
      await send(lab, "a", "nsm0", macs.a, `${experimental}0000`);
      await Promise.all(arrived);
      for (const capture of captures) assert.equal(bytes((await capture.stop()).stdout).includes(mark), false, what);
    }
    await using control = await listen("pod-c", "nsm0", "ether broadcast");
    const arrived = control.printed(/proto unknown \(253\)|ip-proto-253/);
    await send(lab, "a", "nsm0", macs.a, ipPacket(first("a"), mark));
    await arrived;
    assert.ok(bytes((await control.stop()).stdout).includes(mark), "its own is let through");
  });

  it("names who floods and who spoofs, with the node, at another site too, and counts it", async () => {
    const flood = [
      "import socket, sys",
      "s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
      "s.bind(('nsm0', 0))",
      "for _ in range(20000): s.send(bytes.fromhex(sys.argv[1]))",
    ].join("\n");
    await lab.exec("pod-b", "python3", "-c", flood, `${everybody}${hexMac(macs.b)}${experimental}`.padEnd(120, "0"));
    await send(lab, "a", "nsm0", macs.b, experimental);
    interface Described {
      misdeeds: { member: string; node: string; site: string; does: string; droppedAtLeast: number }[];
      counters: { node: string; members: { name: string; receivedPackets: number; sentPackets: number; flooded: number }[] }[];
    }
    const told = await until("they are named", 15_000, async () => {
      const { misdeeds } = await lab.json<Described>("--node", "tokyo-1", "describe", "segment", "floor");
      return misdeeds.length === 2 && misdeeds;
    });
    const brief = told.map(({ member, node, site, does }) => `${member} on ${node} in ${site} ${does}`).sort();
    assert.deepEqual(brief, ["a on paris-1 in paris spoofs", "b on paris-2 in paris floods"]);
    assert.ok(told.some(({ droppedAtLeast }) => droppedAtLeast >= 10_000));
    assert.match(await lab.ctl("--node", "tokyo-1", "get", "members", "floor"), /^b .* floods$/m);
    const { counters } = await lab.json<Described>("--node", "paris-2", "describe", "segment", "floor");
    const [counted] = counters[0]?.members ?? [];
    assert.deepEqual([counters.length, counters[0]?.node, counted?.name], [1, "paris-2", "b"]);
    assert.ok((counted?.sentPackets ?? 0) >= 20_000 && (counted?.flooded ?? 0) >= 10_000, JSON.stringify(counted));
    assert.ok((counted?.receivedPackets ?? 0) > 0);
    const text = await lab.ctl("--node", "paris-2", "describe", "segment", "floor");
    assert.match(text, /^counters at paris-2:\nMEMBER +RECEIVED PACKETS /m);
    assert.match(text, /^misdeeds:\n( .*\n)* +- member: b\n/m);
  });

  it("never meets another segment, though that has the same addresses and one pod is in both", async () => {
    await lab.ctl("create", "segment", "twin", "--layer", "l2", "--prefix", "10.61.0.0/16", "--sites", "paris,tokyo,lima");
    await lab.pod("e", "paris-1");
    await lab.pod("f", "tokyo-1");
    await until("tokyo knows the twin", 5_000, async () => (await lab.ctl("--node", "tokyo-1", "get", "services")).includes("twin"));
    const e = await lab.request("paris-1", "twin", "e");
    const f = await lab.request("tokyo-1", "twin", "f");
    const both = await lab.request("tokyo-1", "twin", "c", "--interface", "twin0");
    assert.deepEqual(names.flatMap(addresses).includes(bare(e.addresses[0] ?? "")), true, "an address that is in the other one too");
    const twins = { e: ["e", "nsm0"], f: ["f", "nsm0"], c: ["c", "twin0"] } as const;
    const members = await lab.json<{ name: string; mac: string }[]>("--node", "paris-1", "get", "members", "twin");
    const twinMac = (name: string) => members.find((member) => member.name === name)?.mac ?? assert.fail(`${name} is no member`);
    const own = await Promise.all(names.map((pod) => listen(`pod-${pod}`, "nsm0", `ether proto 0x${experimental}`)));
    const other = await Promise.all(
      Object.values(twins).map(([pod, device]) => listen(`pod-${pod}`, device, `ether proto 0x${experimental}`)),
    );
    const [here, there] = ["a1a2a3a4a5a6a7a8", "b1b2b3b4b5b6b7b8"];
    const arrived = [own[1]?.printed(/88b5 a1a2/), other[1]?.printed(/88b5 b1b2/)];
    for (const pod of names) await send(lab, pod, "nsm0", macs[pod], experimental + here);
    for (const [name, [pod, device]] of Object.entries(twins)) await send(lab, pod, device, twinMac(name), experimental + there);
    await Promise.all(arrived);
    for (const capture of own) assert.equal(bytes((await capture.stop()).stdout).includes(there), false);
    for (const capture of other) assert.equal(bytes((await capture.stop()).stdout).includes(here), false);
    await lab.close("paris-1", e.id);
    await lab.close("tokyo-1", f.id, both.id);
    await lab.ctl("delete", "segment", "twin");
  });

  it("lets a DHCP server in one site serve a client in another", async () => {
    await lab.pod("dhcp", "tokyo-1");
    await lab.pod("thin", "paris-2");
    await lab.request("tokyo-1", "floor", "dhcp", "--allow-spoofing");
    await lab.request("paris-2", "floor", "thin", "--allow-spoofing");
    const leases = join(folder, "leases");
    await writeFile(leases, "");
    const settings = [
      "start 192.168.77.20",
      "end 192.168.77.40",
      "interface nsm0",
      `lease_file ${leases}`,
      `pidfile ${join(folder, "pid")}`,
    ];
    await writeFile(join(folder, "udhcpd.conf"), `${[...settings, "option subnet 255.255.255.0", "option lease 600"].join("\n")}\n`);
    await using server = lab.spawn("pod-dhcp", "busybox", "udhcpd", "-f", join(folder, "udhcpd.conf"));
    await server.printed(/started/);
    const client = await lab.tryExec(
      "pod-thin",
      "busybox",
      "udhcpc",
      "-i",
      "nsm0",
      "-f",
      "-n",
      "-q",
      "-t",
      "5",
      "-T",
      "1",
      "-s",
      "/bin/true",
    );
    assert.match(client.stderr + client.stdout, /lease of 192\.168\.77\.\d+ obtained/);
  });

  it("leads to a host on a LAN that a member bridges, from every node, until it is silent for too long", async () => {
    await lab.pod("gate", "paris-1");
    await lab.pod("host", "paris-1");
    const gate = await lab.request("paris-1", "floor", "gate", "--allow-spoofing");
    const [four, six, mac] = ["10.61.250.7", "fd61:0:0:fafa::7", "02:00:00:00:be:01"];
    const end = ["peer", "name", "lan0", "netns", `${lab.prefix}-pod-gate`];
    await lab.exec("pod-host", "ip", "link", "add", "eth1", "address", mac, "type", "veth", ...end);
    await lab.exec("pod-gate", "ip", "link", "add", "name", "br-lan", "type", "bridge");
    for (const port of ["nsm0", "lan0"]) await lab.exec("pod-gate", "ip", "link", "set", port, "master", "br-lan", "up");
    await lab.exec("pod-gate", "ip", "link", "set", "br-lan", "up");
    await lab.exec("pod-host", "ip", "address", "add", `${four}/16`, "dev", "eth1");
    await lab.exec("pod-host", "ip", "address", "add", `${six}/48`, "dev", "eth1", "nodad");
    await lab.exec("pod-host", "ip", "link", "set", "eth1", "mtu", "1500", "up");
    const table = (node: string) => lab.exec(`${node}-seg-floor`, "bridge", "fdb", "show", "dev", "isthmus-trunk");
    const answers = async (from: string, to: string) => {
      const { stdout } = await lab.tryExec(`pod-${from}`, "ping", "-n", "-c", "1", "-W", "1", to);
      return stdout.includes("packets transmitted") && parsePing(stdout).lost === 0;
    };
    await until("a pod of another site reaches it first", 5_000, () => answers("c", four));
    for (const to of [four, six])
      await until(`all reach ${to}`, 5_000, async () => (await Promise.all(names.map((pod) => answers(pod, to)))).every(Boolean));
    await pingAll(lab, "host", names.flatMap(addresses));
    for (const node of ["paris-2", "tokyo-1", "lima-1"])
      assert.match(await table(node), new RegExp(`${mac} extern_learn master isthmus-bridge`), `${node} knows it, and floods nothing`);
    const age = (hundredths: number) =>
      lab.exec("paris-1-seg-floor", "ip", "link", "set", "isthmus-bridge", "type", "bridge", "ageing_time", String(hundredths));
    await lab.exec("pod-host", "ip", "link", "set", "eth1", "down");
    await age(100);
    await until("nobody leads to it any more", 5_000, async () =>
      (await Promise.all(["paris-2", "tokyo-1", "lima-1"].map(table))).every((text) => !text.includes(mac)),
    );
    await age(30_000);
    await lab.close("paris-1", gate.id);
  });

  it("holds members to a policy by their labels, which changes while they stay", async () => {
    await holdsMembersToPolicy(lab, "l2", "10.67.0.0/16");
  });

  it("loses no packet when all programs are killed and come back", async () => {
    await using stream = await PingStream.start(lab, "a", first("c"));
    await stream.answers(20);
    await lab.ctl("lab", "kill");
    // The outage itself, not a wait for something.
    await pause(5_000);
    await lab.ctl("lab", "start");
    await lab.pod("late", "tokyo-1");
    const late = await until("another pod joins", 10_000, () => lab.request("tokyo-1", "floor", "late"));
    await until("it is reached from the other site", 5_000, async () => {
      const { stdout } = await lab.tryExec("pod-a", "ping", "-n", "-c", "1", "-W", "1", bare(late.addresses[0] ?? ""));
      return parsePing(stdout).lost === 0;
    });
    const counted = await stream.stop();
    assert.ok(counted.sent > 300, `${counted.sent} pings`);
    assert.equal(counted.lost, 0);
    await lab.close("tokyo-1", late.id);
  });

  it("takes a node that died out of the forwarding tables within 3 s", async () => {
    const table = () => lab.exec("paris-1-seg-floor", "bridge", "fdb", "show", "dev", "isthmus-trunk");
    assert.ok((await table()).includes(macs.c));
    await lab.exec("tokyo-1", "ip", "link", "set", "eth0", "down");
    const cut = performance.now();
    await until("it is gone", 5_000, async () => !(await table()).includes(macs.c));
    assert.ok(performance.now() - cut <= 3_000, `it took ${Math.round(performance.now() - cut)} ms`);
    await lab.exec("tokyo-1", "ip", "link", "set", "eth0", "up");
    await lab.exec("tokyo-1", "ip", "route", "add", "default", "via", "10.102.0.1");
    await until("it is there again", 15_000, async () => (await table()).includes(macs.c));
  });

  it("leaves nothing on any node when the last member has gone", async () => {
    for (const node of ["paris-1", "paris-2", "tokyo-1", "lima-1"]) {
      const held = await lab.json<{ id: string }[]>("--node", node, "get", "attachments");
      await lab.close(node, ...held.map(({ id }) => id));
      assert.match((await lab.tryExec(`${node}-seg-floor`, "true")).stderr, /No such file/);
      assert.doesNotMatch(await lab.exec(`${node}-mesh`, "ip", "-d", "link"), /vxlan id/);
    }
  });
});
