import { deepEqual, ok } from "node:assert/strict";
import { type GuestRun, runGuest } from "../../scripts/qemu/guest.js";

const files = ["test/qemu/guest/wireguard.ts", "test/qemu/guest/kernel.ts", "test/netns/nft.test.ts"];

/** Debian's kernel with WireGuard in it, which is what users have, in QEMU: this machine's own may lack it. */
describe("on a kernel with WireGuard, in a guest", function () {
  this.timeout(420_000);
  let run: GuestRun;
  before(async () => {
    run = await runGuest(files, 400_000);
  });

  const passed = (title: string): number => run.tests.filter((test) => test.state === "passed" && test.title.startsWith(title)).length;

  it("no test fails and none is left out", () => {
    const others = run.tests.filter(({ state }) => state !== "passed");
    deepEqual(others, [], run.console);
    ok(run.console.includes("guest ends"), run.console);
  });

  it("the kernel's WireGuard keeps the contract", () => ok(passed("the WireGuard contract: kernel") >= 10, run.console));

  it("two nodes are joined by what the forwarder says", () => ok(passed("two nodes, programmed by the forwarder's code: kernel") >= 8));

  it("the path's MTU is found", () => ok(passed("the path's MTU: kernel") >= 8));

  it("the kernel suite passes", () => ok(passed("the kernel contract: Linux with eBPF") >= 20));

  it("the VXLAN filter works there too", () => ok(passed("the VXLAN filter") >= 10));
});
