import assert from "node:assert/strict";
import { wireguardMtu } from "../../../forwarder/mtu.js";

/** How long wireguard-go makes a packet on a device that it takes for one of 1420. */
function padded(size: number): number {
  const last = size > 1420 ? size % 1420 : size;
  return size - last + Math.min(1420, Math.ceil(last / 16) * 16);
}

describe("the MTU of a WireGuard device", () => {
  for (const [outer, overhead] of [
    ["192.0.2.1", 60],
    ["2001:db8::1", 80],
  ] as const)
    for (const mtu of [1280, 1400, 1420, 1480, 1492, 1500, 2000, 9000])
      it(`lets no packet be cut, and is at most 15 less than there is room for: ${mtu} outside, to ${outer}`, () => {
        const found = wireguardMtu({ ip: outer, mtu, wireguard: "wireguard-go" });
        for (let size = 1; size <= found; size++) assert.ok(padded(size) + overhead <= mtu, `${size} becomes ${padded(size)}`);
        assert.ok(mtu - overhead - found < 16);
      });

  it("is all that there is room for where the kernel carries it", () => {
    assert.equal(wireguardMtu({ ip: "192.0.2.1", mtu: 1500, wireguard: "kernel" }), 1440);
  });
});
