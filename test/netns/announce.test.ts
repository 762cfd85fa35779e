import { ok } from "node:assert/strict";
import { announce } from "../../kernel/announce.js";
import { createNetns, openNetns, removeNetns } from "../../kernel/netns.js";
import { inside } from "../lib/tunnel.js";
import { until } from "../lib/until.js";

const [pod, peer] = ["/run/netns/kb-ann-pod", "/run/netns/kb-ann-peer"];
const moved = "02:00:00:00:00:99";

describe("announce", () => {
  before(async () => {
    for (const name of ["kb-ann-pod", "kb-ann-peer"]) {
      removeNetns(name);
      createNetns(name);
    }
    await inside(pod, "ip link add nsm0 address 02:00:00:00:00:01 type veth peer name p0 netns kb-ann-peer");
    for (const [netns, device, n] of [
      [pod, "nsm0", 1],
      [peer, "p0", 2],
    ] as const) {
      await inside(
        netns,
        `ip link set ${device} up; ip addr add 10.90.0.${n}/24 dev ${device}; ip addr add fd90::${n}/64 dev ${device} nodad`,
      );
    }
    await inside(peer, "ping -c 1 -W 1 10.90.0.1 && ping -c 1 -W 1 fd90::1");
  });
  after(() => {
    removeNetns("kb-ann-pod");
    removeNetns("kb-ann-peer");
  });

  it("moves a neighbour's entries of both families to the new MAC, without a question from it", async () => {
    // Entries are not overwritten within a second of their last confirmation.
    await inside(peer, "sysctl -qw net.ipv4.neigh.p0.locktime=0");
    await inside(pod, `ip link set nsm0 address ${moved}`);
    await inside(pod, "ip addr add fd90::1/64 dev nsm0 nodad 2>/dev/null || true");
    announce(openNetns(pod), "nsm0", ["10.90.0.1", "fd90::1"]);
    for (const address of ["10.90.0.1", "fd90::1"]) {
      await until(`${address} is at the new MAC`, 1_000, async () => (await inside(peer, `ip neigh show ${address}`)).includes(moved));
    }
  });

  it("passes over a device that is down or gone", async () => {
    announce(pod, "nsm9", ["10.90.0.1"]);
    await inside(pod, "ip link set nsm0 down");
    announce(pod, "nsm0", ["10.90.0.1"]);
    ok(true);
  });
});
