import assert from "node:assert/strict";
import { ping } from "../../kernel/icmp.js";
import type { Netns } from "../../kernel/model.js";
import { systemClock } from "../../program/clock.js";
import { type AskedOptions, asked, type EndpointOptions, World } from "../unit/forwarder/world.js";
import { ip, RealMachine } from "./forwarderWorld.js";

const { signal } = new AbortController();
const dual = { src: ["172.16.1.1/32", "2001:db8:1::1/128"], dst: ["172.16.1.0/32", "2001:db8:1::/128"] };

async function reaches(pod: Netns): Promise<void> {
  for (const [i, source] of dual.src.entries()) {
    const ends = { source: source.replace(/\/.*/, ""), destination: dual.dst[i]?.replace(/\/.*/, "") ?? "" };
    const answered = await ping(pod, { ...ends, device: "nsm0", timeoutMs: 3000, count: 12, clock: systemClock, signal });
    assert.ok(answered, `${ends.source} to ${ends.destination}`);
  }
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

  /** A connection from a pod on node 1 that is pinged through in both families, and closed. */
  async function through(service: string, to: 1 | 2, endpoint: EndpointOptions, client: AskedOptions = {}): Promise<string | undefined> {
    const [from, server] = [machines[0].pod(`${service}-c`), machines[to - 1]?.pod(`${service}-s`)];
    assert.ok(server);
    await world.serve(to, server, { name: service, service, ...dual, ...endpoint });
    const conn = await world.request(1, asked(from, { id: service, service, ...client }));
    await reaches(from);
    await world.close(1, conn);
    for (const pod of [`kf-${service}-c`, `kf-${service}-s`]) assert.equal(ip("-n", pod, "-br", "link", "show", "type", "veth"), "");
    for (const mesh of ["kf-mesh1", "kf-mesh2"]) assert.equal(ip("-n", mesh, "-br", "link", "show", "type", "vxlan"), "");
    return conn.path?.pathSegments[1]?.metrics["isthmus.client_mechanism"];
  }

  it("join two pods of one node", async () => {
    assert.equal(await through("near", 1, {}), "kernel");
    assert.equal(await through("near-l2", 1, { payload: "ETHERNET" }), "kernel");
  });

  it("join two pods of two nodes by the node tunnel, payload IP", async () => {
    assert.equal(await through("far", 2, {}), "node-tunnel");
  });

  it("join two pods of two nodes by the node tunnel, payload ETHERNET", async () => {
    assert.equal(await through("far-l2", 2, { payload: "ETHERNET" }), "node-tunnel");
  });

  it("join two pods by a WireGuard device of their own, as NSM does", async () => {
    assert.equal(await through("wg", 2, {}, { mechanism: "wireguard" }), "wireguard");
  });

  it("join two pods by plain VXLAN where that is asked for", async () => {
    assert.equal(await through("plain", 2, { payload: "ETHERNET" }, { mechanism: "vxlan" }), "vxlan");
  });
});
