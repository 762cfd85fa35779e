import { equal, ok, rejects } from "node:assert/strict";
import { ping } from "../../kernel/icmp.js";
import { createNetns, openNetns, removeNetns } from "../../kernel/netns.js";
import { checksumOffload, setChecksumOffload } from "../../kernel/offload.js";
import { systemClock } from "../../program/clock.js";
import { inside } from "../lib/tunnel.js";

const [a, b] = ["/run/netns/kb-icmp-a", "/run/netns/kb-icmp-b"];
const families = [
  { family: "IPv4", source: "10.89.0.1", destination: "10.89.0.2", nobody: "10.89.0.9" },
  { family: "IPv6", source: "fd89::1", destination: "fd89::2", nobody: "fd89::9" },
];
const options = { clock: systemClock, timeoutMs: 200, count: 4, signal: new AbortController().signal };

describe("ping", () => {
  before(async () => {
    for (const name of ["kb-icmp-a", "kb-icmp-b"]) {
      removeNetns(name);
      createNetns(name);
    }
    await inside(a, "ip link add p0 type veth peer name p0 netns kb-icmp-b");
    for (const [netns, n] of [
      [a, 1],
      [b, 2],
    ] as const) {
      await inside(netns, `ip link set p0 up; ip addr add 10.89.0.${n}/24 dev p0; ip addr add fd89::${n}/64 dev p0 nodad`);
    }
  });
  after(() => {
    removeNetns("kb-icmp-a");
    removeNetns("kb-icmp-b");
  });

  for (const { family, source, destination, nobody } of families) {
    it(`is true at the first answer over ${family}`, async () => {
      const start = performance.now();
      equal(await ping(a, { ...options, source, destination, timeoutMs: 2_000 }), true);
      ok(performance.now() - start < 400);
    });

    it(`goes over the named device over ${family}`, async () => {
      equal(await ping(openNetns(a), { ...options, source, destination, device: "p0" }), true);
    });

    it(`is false when nobody answers over ${family}`, async () => {
      const start = performance.now();
      equal(await ping(a, { ...options, source, destination: nobody }), false);
      ok(performance.now() - start < 400);
    });

    it(`is true when only the last request is answered over ${family}`, async () => {
      const request = family === "IPv4" ? "icmp type echo-request" : "icmpv6 type echo-request";
      await inside(b, "nft 'add table inet t; add chain inet t i { type filter hook input priority 0; }'");
      await inside(b, `nft 'add rule inet t i ${request} limit rate 1/hour burst 3 packets drop'`);
      const answered = await ping(a, { ...options, source, destination });
      await inside(b, "nft delete table inet t");
      equal(answered, true);
    });

    it(`says that the source address is not there over ${family}`, async () => {
      await rejects(ping(a, { ...options, source: nobody, destination }), { code: "kernel" });
    });
  }

  it("does not block the event loop, and asks many at once", async () => {
    let turns = 0;
    const turning = setInterval(() => turns++, 1);
    const asked = Array.from({ length: 200 }, (_, n) =>
      ping(a, { ...options, source: "10.89.0.1", destination: n % 2 === 0 ? "10.89.0.2" : "10.89.0.9" }),
    );
    const answers = await Promise.all(asked);
    clearInterval(turning);
    equal(answers.filter((alive) => alive).length, 100);
    ok(turns > 20, `${turns} turns`);
  });

  it("stops when the caller goes away", async () => {
    const caller = new AbortController();
    const asked = ping(a, { ...options, source: "10.89.0.1", destination: "10.89.0.9", timeoutMs: 60_000, signal: caller.signal });
    caller.abort(new Error("gone home"));
    await rejects(asked, /gone home/);
  });

  it("says that the namespace is gone", async () => {
    createNetns("kb-icmp-c");
    const netns = openNetns("/run/netns/kb-icmp-c");
    removeNetns("kb-icmp-c");
    await rejects(ping(netns, { ...options, source: "10.89.0.1", destination: "10.89.0.2" }), { code: "netns-gone" });
  });
});

describe("checksum offload", () => {
  before(async () => {
    createNetns("kb-icmp-o");
    await inside("/run/netns/kb-icmp-o", "ip link add p0 type veth peer name p1");
  });
  after(() => removeNetns("kb-icmp-o"));

  it("is switched off and on again", () => {
    const netns = "/run/netns/kb-icmp-o";
    setChecksumOffload(netns, "p0", { rx: false, tx: false });
    const off = checksumOffload(netns, "p0");
    setChecksumOffload(netns, "p0", { rx: true, tx: true });
    equal(off.rx || off.tx, false);
    equal(checksumOffload(netns, "p0").tx, true);
  });

  it("names the device that is not there", () => {
    try {
      checksumOffload("/run/netns/kb-icmp-o", "p9");
      ok(false);
    } catch (error) {
      ok(error instanceof Error && error.message.includes("p9"));
    }
  });
});
