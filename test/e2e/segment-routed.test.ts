import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { Lab, type Requested } from "../lib/lab.js";
import { holdsMembersToPolicy } from "../lib/memberPolicy.js";
import { bare, parsePing, pingAll } from "../lib/ping.js";
import { PingStream } from "../lib/stream.js";
import { until } from "../lib/until.js";

const pods = { a: "paris-1", a2: "paris-1", b: "paris-2", c: "tokyo-1", d: "lima-1" } as const;
type Pod = keyof typeof pods;
const names = Object.keys(pods) as Pod[];
const pattern = "15741b6f0a5ec4d2";

describe("an L3 segment of three sites", function () {
  this.timeout(180_000);
  let lab: Lab;
  const joined = {} as Record<Pod, Requested>;

  const addresses = (pod: Pod): string[] => joined[pod].addresses.map(bare);
  const first = (pod: Pod): string => addresses(pod)[0] ?? assert.fail(`${pod} has no address`);
  const ping = async (from: Pod, to: string, ...options: string[]) => {
    const { stdout } = await lab.tryExec(`pod-${from}`, "ping", "-n", "-c", "2", "-i", "0.1", "-W", "1", ...options, to);
    // Without a route nothing is sent.
    return stdout.includes("packets transmitted") ? parsePing(stdout) : { sent: 0, received: 0, lost: 2 };
  };
  const routes = (node: string): Promise<string> => lab.exec(`${node}-seg-plant`, "ip", "route");

  /** What a pod is answered by the resolver of its node; the code of an error. */
  const resolve = async (from: Pod, how: string, name: string): Promise<readonly unknown[]> => {
    const servers = JSON.stringify(
      joined[from].peerAddresses.map(bare).map((address) => (address.includes(":") ? `[${address}]` : address)),
    );
    const script = `const r = new (require("node:dns").promises.Resolver)({ timeout: 1000, tries: 2 }); r.setServers(${servers});
      r.${how}(${JSON.stringify(name)}).then((found) => found, (error) => [error.code]).then((found) => console.log(JSON.stringify(found)))`;
    return JSON.parse(await lab.exec(`pod-${from}`, process.execPath, "-e", script)) as unknown[];
  };

  before(async () => {
    lab = await Lab.up("te-seg3", { sites: "paris=2,tokyo=1,lima=1" });
    await lab.ctl(
      ...["create", "segment", "plant", "--layer", "l3", "--prefix", "10.60.0.0/16,fd60::/48"],
      ...["--sites", "paris,tokyo,lima", "--dns-domain", "mesh"],
    );
    for (const [pod, node] of Object.entries(pods)) await lab.pod(pod, node);
    for (const site of ["tokyo-1", "lima-1"])
      await until(`${site} knows the segment`, 5_000, async () => (await lab.ctl("--node", site, "get", "services")).includes("plant"));
    // Before a2, which will be in a segment where somebody else has the first address.
    joined.a = await lab.request(pods.a, "plant", "a");
    await Promise.all(names.slice(1).map(async (pod) => (joined[pod] = await lab.request(pods[pod], "plant", pod))));
  });

  after(async () => {
    await lab[Symbol.asyncDispose]();
  });

  it("gives every member addresses of its own, in three hops that end at the node", () => {
    const given = names.flatMap(addresses);
    assert.equal(given.length, 2 * names.length);
    assert.equal(new Set(given).size, given.length);
    for (const pod of names) {
      assert.deepEqual(
        joined[pod].path.map(({ name }) => name),
        [pod, `nsmgr-${pods[pod]}`, `forwarder-${pods[pod]}`],
      );
      assert.equal(joined[pod].encrypted, true);
    }
  });

  it("carries packets between all pairs, of both families", async () => {
    await Promise.all(names.map((from) => pingAll(lab, from, names.flatMap(addresses))));
  });

  it("passes through the two nodes' routers, and no other", async () => {
    for (const [family, of] of [0, 1].map((at) => [at, (pod: Pod) => addresses(pod)[at] ?? ""] as const)) {
      const hops: string[] = [];
      for (const ttl of ["1", "2"]) {
        const { stdout } = await lab.tryExec("pod-a", "ping", "-n", "-c", "1", "-W", "2", "-t", ttl, of("c"));
        hops.push(/From (\S+) icmp_seq/.exec(stdout)?.[1] ?? stdout);
      }
      assert.deepEqual(
        hops,
        [joined.a, joined.c].map(({ peerAddresses }) => bare(peerAddresses[family] ?? "")),
      );
      assert.equal((await ping("a", of("c"), "-t", "3")).lost, 0);
    }
  });

  it("shows of it on the WAN nothing but the node tunnel", async () => {
    await using capture = lab.spawn("wan", "tcpdump", "-n", "-l", "--immediate-mode", "-x", "-i", "any", "not tcp");
    await capture.printed(/listening on/);
    await using stream = await PingStream.start(lab, "a", first("c"), { more: ["-p", pattern, "-s", "128"] });
    await stream.answers(20);
    await stream.stop();
    const { stdout: seen } = await capture.stop();
    assert.match(seen, /10\.101\.0\.11\.51820 > 10\.102\.0\.11\.51820: UDP/);
    assert.doesNotMatch(seen.replaceAll(/\s/g, ""), /15741b6f0a5ec4d215741b6f0a5ec4d2/);
    assert.doesNotMatch(seen, /\.4789:/);
  });

  it("lets no member send from another's address, or from one that nobody has", async () => {
    for (const [forged, to] of [
      [first("b"), first("c")],
      ["10.60.200.1", first("c")],
      [addresses("b")[1] ?? "", addresses("c")[1] ?? ""],
    ] as const) {
      await lab.exec("pod-a", "ip", "addr", "add", forged, "dev", "lo");
      await using capture = lab.spawn("pod-c", "tcpdump", "-n", "-l", "--immediate-mode", "-i", "nsm0", "icmp or icmp6");
      await capture.printed(/listening on/);
      await ping("a", to, "-I", forged);
      const heard = capture.printed(/echo request/);
      await ping("a", to);
      await heard;
      assert.doesNotMatch((await capture.stop()).stdout, new RegExp(`${forged} >`));
      await lab.exec("pod-a", "ip", "addr", "del", forged, "dev", "lo");
    }
  });

  it("leads to what a member announces behind it, until it goes", async () => {
    await lab.pod("gate", "lima-1");
    await lab.exec("pod-gate", "ip", "addr", "add", "192.168.10.1/24", "dev", "lo");
    const gate = await lab.request("lima-1", "plant", "gate", "--announce", "192.168.10.0/24");
    for (const from of ["a", "c", "d"] as const)
      await until(`${from} reaches the LAN behind the member`, 5_000, async () => (await ping(from, "192.168.10.1")).lost === 0);
    await lab.close("lima-1", gate.id);
    await until("the route is withdrawn", 3_000, async () => !(await routes("paris-1")).includes("192.168.10.0/24"));
    assert.equal((await ping("d", "192.168.10.1")).received, 0);
  });

  it("knows members and what they serve by name, from every member, and forgets one that has gone within a second", async () => {
    await lab.pod("web", "tokyo-1");
    const web = await lab.request("tokyo-1", "plant", "web", "--service", "shop:8080/tcp");
    const [four = "", six = ""] = web.addresses.map(bare);
    for (const from of names) {
      await until(`${from} knows the newcomer`, 5_000, async () => (await resolve(from, "resolve4", "web.plant.mesh")).includes(four));
      assert.deepEqual(await resolve(from, "resolve6", "web.plant.mesh"), [six]);
      assert.deepEqual(await resolve(from, "reverse", four), ["web.plant.mesh"]);
      assert.deepEqual(await resolve(from, "resolve4", "shop.plant.mesh"), [four]);
      assert.deepEqual(await resolve(from, "resolveSrv", "_shop._tcp.plant.mesh"), [
        { name: "web.plant.mesh", port: 8080, priority: 0, weight: 0 },
      ]);
      assert.deepEqual(await resolve(from, "resolve4", `${from === "a" ? "c" : "a"}.plant.mesh`), [first(from === "a" ? "c" : "a")]);
    }
    await lab.close("tokyo-1", web.id);
    const closed = performance.now();
    await until("nobody knows it any more", 3_000, async () => (await resolve("d", "resolve4", "web.plant.mesh")).includes("ENOTFOUND"));
    assert.ok(performance.now() - closed < 1_000, `${Math.round(performance.now() - closed)} ms`);
  });

  it("never meets another segment, though that has the same addresses and the same pod", async () => {
    await lab.ctl("create", "segment", "twin", "--layer", "l3", "--prefix", "10.60.0.0/16");
    await lab.pod("e", "paris-1");
    const e = await lab.request("paris-1", "twin", "e");
    const f = await lab.request("paris-1", "twin", "a2", "--interface", "twin0");
    assert.deepEqual([e.addresses, first("a")], [["10.60.0.2/32"], "10.60.0.2"], "an address that plant has too");
    for (const to of [first("c"), first("b"), first("a2")]) assert.equal((await ping("a", to)).lost, 0);
    await using capture = lab.spawn("pod-e", "tcpdump", "-n", "-l", "--immediate-mode", "-i", e.interface, "icmp");
    await capture.printed(/listening on/);
    for (const from of names) await ping(from, "10.60.0.2");
    const heard = capture.printed(new RegExp(`${bare(f.addresses[0] ?? "")} > 10.60.0.2: ICMP echo request`));
    await lab.tryExec("pod-a2", "ping", "-n", "-c", "1", "-W", "1", "-I", bare(f.addresses[0] ?? ""), "10.60.0.2");
    await heard;
    const requests = (await capture.stop()).stdout.match(/echo request/g) ?? [];
    assert.ok(requests.length >= 1);
    await lab.close("paris-1", e.id, f.id);
    await lab.ctl("delete", "segment", "twin");
  });

  it("holds members to a policy by their labels, which changes while they stay", async () => {
    await holdsMembersToPolicy(lab, "l3", "10.66.0.0/16");
  });

  it("loses no packet when all programs are killed and come back, and adopts what is there", async () => {
    await using stream = await PingStream.start(lab, "a", first("c"));
    await stream.answers(20);
    await lab.ctl("lab", "kill");
    // The outage itself, not a wait for something.
    await pause(5_000);
    await lab.ctl("lab", "start");
    await lab.pod("late", "tokyo-1");
    const late = await until("another pod joins", 10_000, () => lab.request("tokyo-1", "plant", "late"));
    await until("it is reached from the other site", 5_000, async () => (await ping("a", bare(late.addresses[0] ?? ""))).lost === 0);
    const counted = await stream.stop();
    assert.ok(counted.sent > 300, `${counted.sent} pings`);
    assert.equal(counted.lost, 0);
    await lab.close("tokyo-1", late.id);
    await pingAll(lab, "d", names.flatMap(addresses));
  });

  it("shares what two nodes lead to by flow, takes one that died out of all routes within 3 s, and has it again when it is back", async () => {
    const lan = "192.168.20.0/24";
    const hops = async () => (await lab.exec("paris-1-seg-plant", "ip", "route", "show", lan)).match(/via inet6/g)?.length ?? 0;
    const gates = { tgate: "tokyo-1", lgate: "lima-1" } as const;
    const announced: Requested[] = [];
    for (const [gate, node] of Object.entries(gates)) {
      await lab.pod(gate, node);
      await lab.exec(`pod-${gate}`, "ip", "addr", "add", "192.168.20.1/24", "dev", "lo");
      announced.push(await lab.request(node, "plant", gate, "--announce", lan));
    }
    await until("there are two ways", 5_000, async () => (await hops()) === 2);
    await until("the pod is led there", 5_000, async () => (await lab.exec("pod-a", "ip", "route")).includes(lan));
    const captures = Object.keys(gates).map((gate) =>
      lab.spawn(`pod-${gate}`, "tcpdump", "-n", "-l", "--immediate-mode", "-i", "nsm0", "udp"),
    );
    await Promise.all(captures.map((capture) => capture.printed(/listening on/)));
    const seen = captures.map((capture) => capture.printed(/192\.168\.20\.1\.9: UDP/));
    const flows = `for(let n=0;n<32;n++){const s=require("node:dgram").createSocket("udp4");s.on("error",()=>{});s.send("x",9,"192.168.20.1",()=>s.close())}`;
    await lab.exec("pod-a", process.execPath, "-e", flows);
    await Promise.all(seen);
    for (const capture of captures) await capture[Symbol.asyncDispose]();

    const route = (await routes("paris-1"))
      .match(/^10\.60\.\d+\.0\/\d+ via inet6 \S+/gm)
      ?.find((line) => first("d").startsWith(line.split(".").slice(0, 3).join(".")));
    assert.ok(route, "there is a route to lima");
    await lab.exec("lima-1", "ip", "link", "set", "eth0", "down");
    const cut = performance.now();
    await until("the route is gone", 5_000, async () => !(await routes("paris-1")).includes(route));
    const gone = performance.now() - cut;
    assert.ok(gone <= 3_000, `it took ${Math.round(gone)} ms`);
    await until("one way is left", 3_000 - gone, async () => (await hops()) === 1);
    await lab.exec("lima-1", "ip", "link", "set", "eth0", "up");
    await lab.exec("lima-1", "ip", "route", "add", "default", "via", "10.103.0.1");
    await until("it is reached again", 15_000, async () => (await ping("a", first("d"))).lost === 0);
    await until("there are two ways again", 5_000, async () => (await hops()) === 2);
    await lab.close("lima-1", announced[1]?.id ?? "");
    await until("one announces it no more", 3_000, async () => (await hops()) === 1);
    await lab.close("tokyo-1", announced[0]?.id ?? "");
  });

  it("leaves nothing on any node when the last member has gone", async () => {
    for (const pod of names) await lab.close(pods[pod], joined[pod].id);
    for (const node of ["paris-1", "paris-2", "tokyo-1", "lima-1"]) {
      assert.match((await lab.tryExec(`${node}-seg-plant`, "true")).stderr, /No such file/);
      assert.doesNotMatch(await lab.exec(`${node}-mesh`, "ip", "-d", "link"), /vxlan id/);
      assert.doesNotMatch(await lab.exec(`${node}-mesh`, "nft", "list", "ruleset"), /elements = /);
    }
    for (const pod of names) assert.doesNotMatch(await lab.exec(`pod-${pod}`, "ip", "link"), /nsm0/);
    await until("nobody is in it", 5_000, async () => !(await lab.ctl("--node", "paris-1", "get", "endpoints")).includes("plant"));
  });
});
