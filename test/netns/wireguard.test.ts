import { deepEqual, equal, ok } from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { ping } from "../../kernel/icmp.js";
import { uapiPid } from "../../kernel/wireguard/uapiConnection.js";
import { systemClock } from "../../program/clock.js";
import { inside, type TunnelNode, TunnelNodes } from "../lib/tunnel.js";

const never = new AbortController().signal;

function reaches(from: TunnelNode, to: TunnelNode): Promise<boolean> {
  const ends = { source: from.tunnelAddress, destination: to.tunnelAddress };
  return ping(from.mesh, { ...ends, clock: systemClock, timeoutMs: 2_000, count: 20, signal: never });
}

/** Resolves with the milliseconds until the device's carrier is back. */
function back(node: TunnelNode): Promise<number> {
  const start = performance.now();
  return new Promise((resolve) => {
    const listening = node.devices.onChange((device, what) => {
      if (device !== node.device.name || what !== "back") return;
      listening[Symbol.dispose]();
      resolve(performance.now() - start);
    });
  });
}

describe("WireGuard by wireguard-go", () => {
  let nodes: TunnelNodes;
  before(async () => {
    nodes = await TunnelNodes.start({ prefix: "kb-wg", flavour: "wireguard-go" });
  });
  after(() => nodes[Symbol.asyncDispose]());

  it("joins two nodes, from the first packet on", async () => {
    await nodes.join();
    ok(await reaches(nodes.a, nodes.b));
  });

  it("is found as it was wanted", async () => {
    const { device, devices } = nodes.a;
    deepEqual(await devices.list("isthmus:"), [device, nodes.peer(nodes.a, nodes.b)]);
    deepEqual(await devices.find([device.name, "kb-nothing"]), [device, nodes.peer(nodes.a, nodes.b)]);
    deepEqual(await devices.list("somebody:"), []);
  });

  it("keeps its UDP socket in the node's namespace and its device in the mesh namespace", async () => {
    const { node, mesh, device } = nodes.a;
    ok((await inside(node, "cat /proc/net/udp")).includes(":CA6C"));
    ok(!(await inside(mesh, "cat /proc/net/udp")).includes(":CA6C"));
    ok(!(await inside(node, "ip -br link")).includes(device.name));
  });

  it("lets routers fragment its packets, and leaves the node's setting as it was", async () => {
    equal((await inside(nodes.a.node, "cat /proc/sys/net/ipv4/ip_no_pmtu_disc")).trim(), "0");
    const capture = inside(nodes.b.node, "timeout 5 tcpdump -v -l -n -c 2 -i eth0 udp port 51820 2>/dev/null");
    for (let n = 0; n < 20; n++) if (await Promise.race([capture.then(() => true), reaches(nodes.a, nodes.b).then(() => false)])) break;
    const shown = await capture;
    ok(shown.includes("flags [none]") && !shown.includes("[DF]"), shown);
  });

  it("tells endpoint, handshake and counters of its peers", async () => {
    const [peer] = await nodes.b.devices.status(nodes.b.device.name);
    equal(peer?.publicKey, nodes.a.device.publicKey);
    equal(peer?.endpoint, "10.77.1.2:51820");
    ok(peer !== undefined && peer.rxBytes > 0 && peer.txBytes > 0 && Date.now() - peer.lastHandshake < 60_000);
  });

  it("gives a learned endpoint back after a death", async () => {
    await nodes.b.devices.status(nodes.b.device.name);
    await killed(nodes.b);
    await nodes.address(nodes.b);
    equal((await nodes.b.devices.status(nodes.b.device.name))[0]?.endpoint, "10.77.1.2:51820");
    ok(await reaches(nodes.b, nodes.a));
  });

  it("is back within 2 s after a kill, with its peers", async () => {
    const before = await nodes.a.devices.list("isthmus:");
    const took = await killed(nodes.a);
    ok(took < 2_000, `${took} ms`);
    deepEqual(await nodes.a.devices.list("isthmus:"), before);
    await nodes.address(nodes.a);
    ok(await reaches(nodes.a, nodes.b));
  });

  it("goes on when this process does not, and is taken over by the next", async () => {
    const pid = uapiPid(nodes.a.device.name);
    const before = await nodes.a.devices.list("isthmus:");
    await nodes.restart(nodes.a);
    const found = await nodes.a.devices.list("isthmus:");
    // The file of the key is nowhere in the kernel.
    deepEqual(found, [{ ...before[0], privateKeyFile: "" }, ...before.slice(1)]);
    equal(uapiPid(nodes.a.device.name), pid);
    await nodes.add(nodes.a, nodes.a.device);
    equal(uapiPid(nodes.a.device.name), pid);
    ok(await reaches(nodes.a, nodes.b));
  });

  it("is supervised by the process that took it over", async () => {
    ok((await killed(nodes.a)) < 2_000);
    await nodes.address(nodes.a);
    ok(await reaches(nodes.a, nodes.b));
  });

  it("says a device that somebody set down is faulty, and sets it up again", async () => {
    const { device, mesh, devices } = nodes.a;
    await inside(mesh, `ip link set ${device.name} down`);
    const [found] = await devices.list("isthmus:");
    equal(found?.kind === "wireguard" && found.fault, "the device is down");
    await devices.apply({ op: "replace", key: "", value: device, old: found ?? device });
    await nodes.address(nodes.a);
    deepEqual((await devices.list("isthmus:"))[0], device);
    ok(await reaches(nodes.a, nodes.b));
  });

  it("takes a new MTU in place", async () => {
    const { device, mesh, devices } = nodes.a;
    const index = await inside(mesh, `cat /sys/class/net/${device.name}/ifindex || ip -o link show ${device.name}`);
    await devices.apply({ op: "replace", key: "", value: { ...device, mtu: 1300 }, old: device });
    equal(
      (await devices.find([device.name]))[0]?.kind === "wireguard" &&
        (await inside(mesh, `ip -o link show ${device.name}`)).includes("mtu 1300"),
      true,
    );
    await devices.apply({ op: "replace", key: "", value: device, old: { ...device, mtu: 1300 } });
    equal(await inside(mesh, `cat /sys/class/net/${device.name}/ifindex || ip -o link show ${device.name}`), index);
  });

  it("writes what wireguard-go says to a file of the device", () => {
    ok(existsSync(`${nodes.a.logDir}/${nodes.a.device.name}.log`));
  });

  it("leaves no device, no process and no socket behind when it is deleted, also twice", async () => {
    const { device, mesh } = nodes.a;
    const pid = uapiPid(device.name);
    await nodes.remove(nodes.a, device);
    await nodes.remove(nodes.a, device);
    ok(!(await inside(mesh, "ip -br link")).includes(device.name));
    ok(!existsSync(`/var/run/wireguard/${device.name}.sock`));
    ok(!existsSync(`/proc/${pid}/exe`) || readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z "));
    deepEqual(await nodes.a.devices.list("isthmus:"), []);
  });

  it("refuses a name that another namespace's wireguard-go has", async () => {
    const taken = { ...nodes.a.device, name: nodes.b.device.name };
    await nodes.add(nodes.a, taken).then(
      () => ok(false, "it was accepted"),
      (error) => ok(/is taken by a wireguard-go/.test(error.message), error.message),
    );
    ok(uapiPid(nodes.b.device.name) !== undefined, "the other one goes on");
  });
});

/** Kills a node's wireguard-go; the milliseconds until it was back. */
async function killed(node: TunnelNode): Promise<number> {
  const pid = uapiPid(node.device.name);
  ok(pid !== undefined && pid > 1);
  const returned = back(node);
  process.kill(pid, "SIGKILL");
  return await returned;
}
