import { equal } from "node:assert/strict";
import { detectWireguard } from "../../../kernel/wireguard/open.js";
import { pathMtuSuite } from "../../suite/pathmtu.js";
import { tunnelSuite } from "../../suite/tunnel.js";
import { wireguardSuite } from "../../suite/wireguard.js";

describe("a kernel with WireGuard", () => {
  it("is recognised and preferred", () => equal(detectWireguard(), "kernel"));
});
wireguardSuite("kernel");
tunnelSuite("kernel");
// The guest is emulated: a round trip takes it milliseconds.
pathMtuSuite("kernel", 20);
