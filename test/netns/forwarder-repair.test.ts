import assert from "node:assert/strict";
import { ping } from "../../kernel/icmp.js";
import type { Netns } from "../../kernel/model.js";
import { removeNetns } from "../../kernel/netns.js";
import { systemClock } from "../../program/clock.js";
import { Running } from "../lib/command.js";
import { parsePing } from "../lib/ping.js";
import { until } from "../lib/until.js";
import { asked, World } from "../unit/forwarder/world.js";
import { ip, RealMachine } from "./forwarderWorld.js";

const { signal } = new AbortController();

function reaches(pod: Netns, timeoutMs = 3000): Promise<boolean> {
  const ends = { source: "172.16.1.1", destination: "172.16.1.0" };
  return ping(pod, { ...ends, timeoutMs, count: Math.ceil(timeoutMs / 100), clock: systemClock, signal });
}

function indexOf(pod: string): number {
  return Number(/^(\d+):/.exec(ip("-n", pod, "-o", "link", "show", "nsm0"))?.[1]);
}

describe("a connection between two nodes", () => {
  let machines: [RealMachine, RealMachine];
  let world: World<RealMachine>;
  let client: Netns;
  let mtu: number;

  before(async () => {
    machines = [new RealMachine(1), new RealMachine(2)];
    RealMachine.join(...machines);
    world = await World.start(machines);
    client = machines[0].pod("client");
    await world.serve(2, machines[1].pod("server"));
    mtu = (await world.request(1, asked(client))).context?.MTU ?? 0;
  });

  after(async () => {
    await world[Symbol.asyncDispose]();
    for (const machine of machines) await machine.remove();
  });

  it("loses no packet while both forwarders stop and start again", async () => {
    const before = indexOf("kf-client");
    await using pinging = new Running("nsenter", ["--net=/run/netns/kf-client", "ping", "-n", "-i", "0.01", "172.16.1.0"]);
    await pinging.printed(/icmp_seq=5/);
    for (const node of world.nodes) await node.stop();
    for (const node of world.nodes) await node.start();
    await pinging.printed(/icmp_seq=\d+/);
    const { stdout } = await pinging.stop();
    assert.equal(parsePing(stdout).lost, 0, stdout.slice(-500));
    assert.equal(indexOf("kf-client"), before);
    assert.equal(world.node(1).forwarder.wanted.list().length, 1);
  });

  it("is put back within 2 s when a pod empties its interface", async () => {
    ip("-n", "kf-client", "link", "set", "nsm0", "down");
    ip("-n", "kf-client", "address", "flush", "dev", "nsm0");
    ip("-n", "kf-client", "link", "set", "nsm0", "mtu", "1300", "up");
    await until("the pod's interface works again", 2000, () => reaches(client, 200));
    assert.ok(ip("-n", "kf-client", "link", "show", "nsm0").includes(` mtu ${mtu} `));
  });

  it("is put back when somebody deletes the device or the pod's end", async () => {
    const [vxlan] = /ist\w+-\w+/.exec(ip("-n", "kf-mesh1", "-br", "link", "show", "type", "vxlan")) ?? [""];
    ip("-n", "kf-mesh1", "link", "delete", vxlan);
    await until("the VXLAN device is back", 2000, () => reaches(client, 200));
    ip("-n", "kf-client", "link", "delete", "nsm0");
    await until("the pod's interface is back", 2000, () => reaches(client, 200));
  });

  it("ends at every hop when the client's pod is gone", async () => {
    removeNetns("kf-client");
    await until("both forwarders have let go", 2000, () => world.nodes.every(({ forwarder }) => forwarder.wanted.list().length === 0));
    await until("the endpoint was told", 2000, () => world.closed.length === 1);
    const links = () => ["kf-mesh1", "kf-mesh2"].map((mesh) => ip("-n", mesh, "-br", "link", "show")).join("");
    await until("nothing of it is left", 2000, () => !/isp|ist/.test(links()));
  });
});
