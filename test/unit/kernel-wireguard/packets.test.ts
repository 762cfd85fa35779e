import { deepEqual, equal, ok } from "node:assert/strict";
import fc from "fast-check";
import { announcement } from "../../../kernel/announce.js";
import { checksum } from "../../../kernel/echo.js";
import { between } from "../../../kernel/pathmtu.js";

const mac = Buffer.from("020000000001", "hex");

describe("announcements", () => {
  it("say an IPv4 address by a gratuitous ARP to everyone", () => {
    equal(
      announcement(mac, "10.0.0.1").toString("hex"),
      "ffffffffffff" + "020000000001" + "0806" + "0001080006040001" + "020000000001" + "0a000001" + "000000000000" + "0a000001",
    );
  });

  it("say an IPv6 address by an advertisement to all nodes, with the override flag and a right checksum", () => {
    const frame = announcement(mac, "fd00::1");
    equal(frame.subarray(0, 14).toString("hex"), "333300000001" + "020000000001" + "86dd");
    const message = frame.subarray(54);
    equal(message.toString("hex", 0, 2), "8800");
    equal(message.readUInt32BE(4), 0x20000000);
    equal(message.toString("hex", 24), "0201020000000001");
    const pseudo = Buffer.concat([frame.subarray(22, 54), Uint8Array.of(0, 0, 0, message.length, 0, 0, 0, 58)]);
    equal(checksum(Buffer.concat([pseudo, message])), 0);
  });
});

describe("the Internet checksum", () => {
  it("is the one of RFC 1071's example", () => {
    equal(checksum(Buffer.from("0001f203f4f5f6f7", "hex")), ~0xddf2 & 0xffff);
  });

  it("pads an odd number of bytes with zero", () => {
    equal(checksum(Uint8Array.of(0x12, 0x34, 0x56)), checksum(Uint8Array.of(0x12, 0x34, 0x56, 0)));
  });
});

describe("the sizes to try between a good and a bad one", () => {
  it("rise strictly, stay inside, and are all of them when there are few", () => {
    deepEqual(between(1280, 1284), [1281, 1282, 1283]);
    fc.assert(
      fc.property(fc.integer({ min: 576, max: 9_000 }), fc.integer({ min: 2, max: 9_000 }), (good, distance) => {
        const sizes = between(good, good + distance);
        ok(sizes.length > 0 && sizes.every((size, n) => size > (sizes[n - 1] ?? good) && size < good + distance), `${sizes}`);
      }),
    );
  });
});
