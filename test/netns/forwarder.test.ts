import assert from "node:assert/strict";
import { ping } from "../../kernel/icmp.js";
import type { Netns } from "../../kernel/model.js";
import { systemClock } from "../../program/clock.js";
import { asked, World } from "../unit/forwarder/world.js";
import { ip, RealMachine } from "./forwarderWorld.js";

const { signal } = new AbortController();

function reaches(pod: Netns, source: string, destination: string): Promise<boolean> {
  return ping(pod, { source, destination, device: "nsm0", timeoutMs: 2000, count: 8, clock: systemClock, signal });
}

describe("forwarders on the real kernel", () => {
  let machines: [RealMachine, RealMachine];
  let world: World<RealMachine>;

  before(async () => {
    machines = [new RealMachine(1), new RealMachine(2)];
    RealMachine.join(...machines);
    world = await World.start(machines);
  });

  after(async () => {
    await world[Symbol.asyncDispose]();
    for (const machine of machines) await machine.remove();
  });

  it("join two pods of one node", async () => {
    const [client, server] = [machines[0].pod("client"), machines[0].pod("server")];
    await world.serve(1, server, { name: "local", service: "near" });
    const conn = await world.request(1, asked(client, { service: "near" }));
    assert.ok(await reaches(client, "172.16.1.1", "172.16.1.0"));
    await world.close(1, conn);
    assert.equal(ip("-n", "kf-client", "-br", "link", "show", "type", "veth"), "");
  });

  it("join two pods of two nodes by the node tunnel", async () => {
    const [client, server] = [machines[0].pod("client"), machines[1].pod("server")];
    await world.serve(2, server, { name: "remote", service: "far" });
    const conn = await world.request(1, asked(client, { service: "far" }));
    console.log(
      conn.path?.pathSegments.map((s) => s.metrics["isthmus.ms"]),
      conn.context?.MTU,
    );
    assert.ok(await reaches(client, "172.16.1.1", "172.16.1.0"));
    await world.close(1, conn);
  });
});
