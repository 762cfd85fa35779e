import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import type { Connection } from "../../api/gen/connection/connection.js";
import { withIpContext } from "../../core/context.js";
import type { Netns } from "../../kernel/model.js";
import { within } from "../../kernel/netns.js";
import { until } from "../lib/until.js";
import { asked, World } from "../unit/forwarder/world.js";
import { ip, RealMachine } from "./forwarderWorld.js";

const pod = "kf-policy-c";
const policies = [
  { from: "172.16.1.0/24", proto: "6", dstPort: "8000-8999", srcPort: "", routes: [{ prefix: "10.3.0.0/16", nextHop: "" }] },
];

/** The way that the client's kernel takes for a packet. */
function way(...packet: string[]): string {
  return ip("-n", pod, "route", "get", "10.3.0.1", "from", "172.16.1.1", ...packet);
}

describe("a connection with policy routes and KERNEL parameters, on the real kernel", () => {
  let machine: RealMachine;
  let world: World<RealMachine>;
  let server: Netns;
  let conn: Connection;

  before(async () => {
    machine = new RealMachine(1);
    world = await World.start([machine]);
    server = machine.pod("policy-s");
    const client = machine.pod("policy-c");
    const answer = (answered: Connection): Connection => {
      const mechanism = { cls: "LOCAL", type: "KERNEL", parameters: { ...answered.mechanism?.parameters, routeLocalNet: "true" } };
      return withIpContext({ ...answered, mechanism }, { policies });
    };
    await world.serve(1, server, { change: answer });
    // Elsewhere for all but the policy: the pod's own network.
    ip("-n", pod, "link", "add", "eth0", "type", "veth", "peer", "name", "eth1");
    ip("-n", pod, "address", "add", "192.0.2.1/24", "dev", "eth0");
    ip("-n", pod, "link", "set", "eth0", "up");
    ip("-n", pod, "link", "set", "eth1", "up");
    ip("-n", pod, "route", "add", "default", "via", "192.0.2.9");
    conn = await world.request(1, asked(client));
  });

  after(async () => {
    await world[Symbol.asyncDispose]();
    await machine.remove();
  });

  it("sends what matches over its interface, and all else where it went before", () => {
    assert.match(way("ipproto", "tcp", "dport", "8080"), /via 172\.16\.1\.0 dev nsm0 table \d+/);
    assert.match(way("ipproto", "tcp", "dport", "80"), /dev eth0/);
    assert.match(way("ipproto", "udp", "dport", "8080"), /dev eth0/);
  });

  it("has the rule and the route back within 2 s when the pod deletes them", async () => {
    const [, table = ""] = /lookup (\d+)/.exec(ip("-n", pod, "rule", "show")) ?? [];
    ip("-n", pod, "rule", "delete", "table", table);
    await until("the rule is back", 2000, () => /dev nsm0/.test(way("ipproto", "tcp", "dport", "8080")));
    ip("-n", pod, "route", "flush", "table", table);
    await until("the route is back", 2000, () => /dev nsm0/.test(way("ipproto", "tcp", "dport", "8080")));
  });

  it("sets route_localnet of the endpoint's interface, and of no other", () => {
    const setting = (netns: Netns, device: string) =>
      within(netns, () => readFileSync(`/proc/sys/net/ipv4/conf/${device}/route_localnet`, "utf8").trim());
    assert.equal(setting(server, "nsm0"), "1");
    assert.equal(setting(server, "lo"), "0");
    assert.equal(setting({ ...server, path: `/run/netns/${pod}`, cookie: clientCookie() }, "nsm0"), "0");
  });

  it("lets every process of an NSM client's pod ping", async () => {
    const nsm = machine.pod("policy-n");
    const { dev, ino } = statSync(nsm.path);
    const plain = asked(nsm, { id: "nsm", service: "nsm" });
    const parameters = { inodeURL: `inode://${dev}/${ino}` };
    await world.serve(1, server, { name: "nsm", service: "nsm", src: ["172.16.9.1/32"], dst: ["172.16.9.0/32"] });
    const answered = await world.request(1, { ...plain, mechanism: { cls: "LOCAL", type: "KERNEL", parameters } });
    const range = (netns: Netns) => within(netns, () => readFileSync("/proc/sys/net/ipv4/ping_group_range", "utf8").trim());
    assert.equal(range(nsm), "0\t2147483647");
    assert.equal(range(server), "1\t0");
    await world.close(1, answered);
  });

  it("leaves nothing of them in the pod when it is closed", async () => {
    await world.close(1, conn);
    assert.doesNotMatch(ip("-n", pod, "rule", "show"), /lookup \d/);
    assert.equal(ip("-n", pod, "link", "show", "type", "veth").includes("nsm0"), false);
  });

  function clientCookie(): string {
    const [kept] = world.node(1).forwarder.wanted.list();
    assert.ok(kept?.connect.client.kind === "kernel");
    return kept.connect.client.pod.cookie;
  }
});
