import assert from "node:assert/strict";
import { contains, formatPrefix, isHost, numberAt, parsePrefix, part, partsOf } from "../../../../core/ipam/prefix.js";
import { throwsWith } from "../../../lib/chainKit.js";

describe("a prefix", () => {
  it("is written in its shortest form", () => {
    const written = ["10.60.0.0/16", "fd60:0:0::0/48", "10.0.0.9", "FD60::9"].map((text) => formatPrefix(parsePrefix(text)));
    assert.deepEqual(written, ["10.60.0.0/16", "fd60::/48", "10.0.0.9/32", "fd60::9/128"]);
    assert.ok(isHost(parsePrefix("10.0.0.9")) && !isHost(parsePrefix("10.0.0.8/31")));
  });

  it("has no bits behind its length", () => {
    throwsWith("invalid", "10.60.1.0/16 has bits behind its length; write 10.60.0.0/16", () => parsePrefix("10.60.1.0/16"));
    throwsWith("invalid", "fd60::1/64 has bits behind its length; write fd60::/64", () => parsePrefix("fd60::1/64"));
    throwsWith("invalid", '"10.60.0.0/33" is no address range', () => parsePrefix("10.60.0.0/33"));
  });

  it("has parts, by number", () => {
    const whole = parsePrefix("10.60.0.0/16");
    assert.equal(partsOf(whole, 18), 4n);
    assert.equal(formatPrefix(part(whole, 18, 3n)), "10.60.192.0/18");
    assert.equal(numberAt(whole, 18, parsePrefix("10.60.193.7").first), 3n);
    assert.ok(
      contains(whole, parsePrefix("10.60.255.255")) && !contains(whole, parsePrefix("10.61.0.0")) && !contains(whole, parsePrefix("::/0")),
    );
  });
});
