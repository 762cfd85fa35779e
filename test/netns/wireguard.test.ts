import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { uapiPid } from "../../kernel/wireguard/uapiConnection.js";
import { inside, type TunnelNode, TunnelNodes } from "../lib/tunnel.js";
import { reaches, wireguardSuite } from "../suite/wireguard.js";

wireguardSuite("wireguard-go");

describe("wireguard-go", () => {
  let nodes: TunnelNodes;
  before(async () => {
    nodes = await TunnelNodes.start({ prefix: "kb-wgo", flavour: "wireguard-go" });
    await nodes.join();
  });
  after(() => nodes[Symbol.asyncDispose]());

  it("has room for bursts in its sockets, also after it was killed and is back", async () => {
    const rooms = async () =>
      [...(await inside(nodes.a.node, "ss -H -u -a -n -m sport = :51820")).matchAll(/rb(\d+)/g)].map(([, bytes]) => bytes);
    deepEqual(await rooms(), ["2097152", "2097152"]); // IPv4 and IPv6; the kernel doubles what it is told
    await killed(nodes.a);
    deepEqual(await rooms(), ["2097152", "2097152"]);
    await nodes.address(nodes.a);
  });

  it("lets routers fragment its packets", async () => {
    const capture = inside(nodes.b.node, "timeout 5 tcpdump -Z root -v -l -n -c 2 -i eth0 udp port 51820 2>/dev/null");
    for (let n = 0; n < 20; n++) if (await Promise.race([capture.then(() => true), reaches(nodes.a, nodes.b).then(() => false)])) break;
    const shown = await capture;
    ok(shown.includes("flags [none]") && !shown.includes("[DF]"), shown);
  });

  it("gets a learned endpoint back after a death", async () => {
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

  it("goes on when this process does not, and is supervised by the next", async () => {
    const pid = uapiPid(nodes.a.device.name);
    await nodes.restart(nodes.a);
    await nodes.a.devices.list("isthmus:");
    equal(uapiPid(nodes.a.device.name), pid);
    await nodes.add(nodes.a, nodes.a.device);
    equal(uapiPid(nodes.a.device.name), pid);
    ok((await killed(nodes.a)) < 2_000);
    await nodes.address(nodes.a);
    ok(await reaches(nodes.a, nodes.b));
  });

  it("is made anew when its control socket's file is gone", async () => {
    const pid = uapiPid(nodes.a.device.name);
    await nodes.restart(nodes.a);
    await inside(nodes.a.node, `rm /var/run/wireguard/${nodes.a.device.name}.sock`);
    deepEqual(await nodes.a.devices.list("isthmus:"), []);
    await nodes.add(nodes.a, nodes.a.device);
    await nodes.add(nodes.a, nodes.peer(nodes.a, nodes.b));
    await nodes.address(nodes.a);
    ok(uapiPid(nodes.a.device.name) !== pid);
    ok(await reaches(nodes.a, nodes.b));
  });

  it("says what it has to say in a file of the device", () => {
    ok(existsSync(`${nodes.a.logDir}/${nodes.a.device.name}.log`));
  });

  it("leaves no process and no socket when its device is deleted", async () => {
    const { device } = nodes.a;
    const pid = uapiPid(device.name);
    await nodes.remove(nodes.a, device);
    ok(!existsSync(`/var/run/wireguard/${device.name}.sock`));
    ok(!existsSync(`/proc/${pid}/exe`) || readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z "));
  });

  it("is not taken from another namespace by its name", async () => {
    const pid = uapiPid(nodes.b.device.name);
    await rejects(nodes.add(nodes.a, { ...nodes.a.device, name: nodes.b.device.name }), { code: "exists" });
    await nodes.remove(nodes.a, { ...nodes.a.device, name: nodes.b.device.name });
    equal(uapiPid(nodes.b.device.name), pid);
  });
});

/** Kills a node's wireguard-go; the milliseconds until it was back. */
async function killed(node: TunnelNode): Promise<number> {
  const pid = uapiPid(node.device.name);
  ok(pid !== undefined && pid > 1);
  const start = performance.now();
  const returned = new Promise<number>((resolve) => {
    const listening = node.devices.onChange((device, what) => {
      if (device !== node.device.name || what !== "back") return;
      listening[Symbol.dispose]();
      resolve(performance.now() - start);
    });
  });
  process.kill(pid, "SIGKILL");
  return await returned;
}
