import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { check } from "../lib/command.js";
import { Lab, type Requested } from "../lib/lab.js";
import { bare } from "../lib/ping.js";
import { PingStream } from "../lib/stream.js";
import { until } from "../lib/until.js";

interface ListedAttachment {
  readonly id: string;
  readonly state: string;
}

describe("programs that die", function () {
  this.timeout(120_000);
  let lab: Lab;
  let connection: Requested;

  before(async () => {
    lab = await Lab.up("te-restart", { sites: "paris=1,tokyo=1" });
    await Promise.all([lab.pod("client", "paris-1"), lab.pod("server", "tokyo-1")]);
    await lab.serve("tokyo-1", "echo", "server", "172.16.1.0/24,2001:db8:1::/112");
    connection = await lab.request("paris-1", "echo", "client");
  });

  after(async () => {
    await lab[Symbol.asyncDispose]();
  });

  /** Whether one ping from the client comes back. */
  const answers = async (): Promise<boolean> =>
    (await lab.tryExec("pod-client", "ping", "-n", "-c", "1", "-W", "1", bare(connection.peerAddresses[0] ?? ""))).code === 0;

  /** The pid of paris's wireguard-go. */
  async function wireguardGo(): Promise<number> {
    const { programs } = await lab.json<{ programs: { node: string; program: string; pid: number }[] }>("lab", "status");
    return programs.find((one) => one.node === "paris-1" && one.program === "wireguard-go")?.pid ?? assert.fail("no wireguard-go");
  }

  const attachments = (): Promise<ListedAttachment[]> => lab.json<ListedAttachment[]>("--node", "paris-1", "get", "attachments");

  it("loses no packet when all are killed and come back 10 s later, and adopts what is there", async () => {
    const before = await attachments();
    const index = await lab.ifindex("client", connection.interface);
    await using ping = await PingStream.start(lab, "client", connection.peerAddresses[0] ?? "");
    await lab.ctl("lab", "kill");
    // The outage itself, not a wait for something.
    await pause(10_000);
    await lab.ctl("lab", "start");
    const started = performance.now();
    const another = await until("a new request works", 5_000, () => lab.request("paris-1", "echo", "client"));
    assert.ok(performance.now() - started <= 5_000);
    const after = await until("the attachments are up again", 10_000, async () => {
      const list = await attachments();
      return list.every((one) => one.state === "up") && list;
    });
    assert.deepEqual(
      after.map((one) => one.id).filter((id) => id !== another.id),
      before.map((one) => one.id),
    );
    const counted = await ping.stop();
    assert.ok(counted.sent > 500, `${counted.sent} pings`);
    assert.equal(counted.lost, 0);
    assert.equal(await lab.ifindex("client", connection.interface), index);
    await lab.close("paris-1", another.id);
  });

  it("has wireguard-go back within 2 s", async () => {
    await using ping = await PingStream.start(lab, "client", connection.peerAddresses[0] ?? "");
    const killed = await wireguardGo();
    await lab.ctl("lab", "kill", "paris-1/wireguard-go");
    // Waits for it: nobody but the forwarder starts it.
    await lab.ctl("lab", "start", "paris-1/wireguard-go");
    assert.notEqual(await wireguardGo(), killed, "it is another process");
    await ping.answers(50);
    const counted = await ping.stop();
    assert.ok(counted.longestGapMs > 0 && counted.longestGapMs <= 2_000, `no answer for ${counted.longestGapMs} ms`);
  });

  it("puts back a kernel object that somebody deleted", async () => {
    const mesh = `${lab.prefix}-paris-1-mesh`;
    const links = JSON.parse(await check("ip", ["-j", "-d", "-n", mesh, "link", "show", "type", "vxlan"])) as { ifname: string }[];
    assert.equal(links.length, 1);
    await check("ip", ["-n", mesh, "link", "del", links[0]?.ifname ?? ""]);
    await until("packets cross again", 30_000, answers);
  });

  it("puts back what a pod changed on its end within 2 s", async () => {
    const device = connection.interface;
    for (const meddle of [
      ["ip", "link", "set", device, "down"],
      ["ip", "addr", "flush", "dev", device],
      ["ip", "route", "flush", "dev", device],
    ] as const) {
      await lab.exec("pod-client", meddle[0], ...meddle.slice(1));
      await until(`repaired after ${meddle.join(" ")}`, 2_000, answers);
    }
  });
});
