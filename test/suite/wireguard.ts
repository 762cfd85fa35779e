import { deepEqual, equal, ok } from "node:assert/strict";
import { ping } from "../../kernel/icmp.js";
import { systemClock } from "../../program/clock.js";
import { inside, type TunnelNode, TunnelNodes } from "../lib/tunnel.js";

/** The contract of WireGuard devices: run for the kernel's and for wireguard-go. */
export function wireguardSuite(flavour: "kernel" | "wireguard-go"): void {
  describe(`the WireGuard contract: ${flavour}`, () => {
    let nodes: TunnelNodes;
    before(async () => {
      nodes = await TunnelNodes.start({ prefix: "kb-wgs", flavour });
      await nodes.join();
    });
    after(() => nodes[Symbol.asyncDispose]());

    it("joins two nodes", async () => {
      ok(await reaches(nodes.a, nodes.b));
    });

    it("finds what was wanted, by alias and by name", async () => {
      const { device, devices } = nodes.a;
      const expected = [device, nodes.peer(nodes.a, nodes.b)];
      deepEqual(await devices.list("isthmus:"), expected);
      deepEqual(await devices.find([device.name, "kb-nothing"]), expected);
      deepEqual(await devices.list("somebody:"), []);
    });

    it("keeps its UDP socket in the node's namespace and its device in the mesh namespace", async () => {
      const { node, mesh, device } = nodes.a;
      ok((await inside(node, "cat /proc/net/udp")).includes(":CA6C"));
      ok(!(await inside(mesh, "cat /proc/net/udp")).includes(":CA6C"));
      ok(!(await inside(node, "ip -o link")).includes(device.name));
    });

    it("tells endpoint, handshake and counters of a peer that came by itself", async () => {
      const [peer] = await nodes.b.devices.status(nodes.b.device.name);
      deepEqual([peer?.publicKey, peer?.endpoint], [nodes.a.device.publicKey, `${nodes.a.underlay}:51820`]);
      ok(peer !== undefined && peer.rxBytes > 0 && peer.txBytes > 0 && Date.now() - peer.lastHandshake < 120_000);
      deepEqual(await nodes.b.devices.status("kb-nothing"), []);
    });

    it("does the same steps again without harm", async () => {
      const before = await nodes.a.devices.list("isthmus:");
      await nodes.add(nodes.a, nodes.a.device);
      await nodes.add(nodes.a, nodes.peer(nodes.a, nodes.b));
      deepEqual(await nodes.a.devices.list("isthmus:"), before);
      ok(await reaches(nodes.a, nodes.b));
    });

    it("is taken over by the next process, with all but the key's file, which is nowhere in the kernel", async () => {
      const before = await nodes.a.devices.list("isthmus:");
      await nodes.restart(nodes.a);
      deepEqual(await nodes.a.devices.list("isthmus:"), [{ ...before[0], privateKeyFile: "" }, ...before.slice(1)]);
      await nodes.add(nodes.a, nodes.a.device);
      deepEqual(await nodes.a.devices.list("isthmus:"), before);
      ok(await reaches(nodes.a, nodes.b));
    });

    it("calls a device faulty that somebody set down, and sets it up again", async () => {
      const { device, mesh, devices } = nodes.a;
      await inside(mesh, `ip link set ${device.name} down`);
      const [found] = await devices.list("isthmus:");
      equal(found?.kind === "wireguard" && found.fault, "the device is down");
      await devices.apply({ op: "replace", key: "", value: device, old: device });
      await nodes.address(nodes.a);
      deepEqual((await devices.list("isthmus:"))[0], device);
      ok(await reaches(nodes.a, nodes.b));
    });

    it("takes a new MTU and a new port in place", async () => {
      const { device, mesh, devices } = nodes.a;
      const index = await inside(mesh, `ip -o link show ${device.name} | cut -d: -f1`);
      const value = { ...device, mtu: 1300, listenPort: 51_830 };
      await devices.apply({ op: "replace", key: "", value, old: device });
      deepEqual((await devices.find([device.name]))[0], value);
      ok(await reaches(nodes.a, nodes.b));
      await devices.apply({ op: "replace", key: "", value: device, old: value });
      equal(await inside(mesh, `ip -o link show ${device.name} | cut -d: -f1`), index);
    });

    it("moves allowed IPs to another peer and takes a peer away", async () => {
      const { device, devices } = nodes.a;
      const real = nodes.peer(nodes.a, nodes.b);
      const other = {
        ...real,
        publicKey: nodes.a.device.publicKey.replace(/^./, (c) => (c === "A" ? "B" : "A")),
        endpoint: undefined,
        keepalive: 0,
      };
      await nodes.add(nodes.a, other);
      const moved = (await devices.find([device.name])).find((peer) => peer.kind === "wireguard-peer" && peer.publicKey === real.publicKey);
      deepEqual(moved?.kind === "wireguard-peer" && moved.allowedIps, []);
      await nodes.remove(nodes.a, other);
      await nodes.remove(nodes.a, other);
      await nodes.add(nodes.a, real);
      deepEqual(await devices.list("isthmus:"), [device, real]);
      ok(await reaches(nodes.a, nodes.b));
    });

    it("leaves nothing when it is deleted, also twice", async () => {
      const { device, devices, mesh } = nodes.a;
      await nodes.remove(nodes.a, device);
      await nodes.remove(nodes.a, device);
      await nodes.remove(nodes.a, nodes.peer(nodes.a, nodes.b));
      ok(!(await inside(mesh, "ip -o link")).includes(device.name));
      deepEqual(await devices.list("isthmus:"), []);
    });
  });
}

/** Whether an echo goes through the tunnel. */
export function reaches(from: TunnelNode, to: TunnelNode): Promise<boolean> {
  const ends = { source: from.tunnelAddress, destination: to.tunnelAddress };
  const { signal } = new AbortController();
  return ping(from.mesh, { ...ends, clock: systemClock, timeoutMs: 6_000, count: 60, signal });
}
