import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeAddress } from "../../../kernel/netlink/address.js";
import {
  attribute,
  attributeList,
  be16,
  flag,
  nested,
  parseAttributes,
  parseNested,
  readBe16,
  readI32,
  readText,
  readU8,
  readU16,
  readU32,
  readU64,
  text,
  u8,
  u16,
  u32,
  u64,
} from "../../../kernel/netlink/attributes.js";
import { decodeBridgeFdb, decodeFdb } from "../../../kernel/netlink/fdb.js";
import { decodeFilter } from "../../../kernel/netlink/filter.js";
import { decodeLink, isBridgeMessage, vxlanData } from "../../../kernel/netlink/link.js";
import { decodeError, decodeMessages, encodeMessage } from "../../../kernel/netlink/message.js";
import { decodeNeighbour } from "../../../kernel/netlink/neighbour.js";
import { decodeRoute, routeDevices } from "../../../kernel/netlink/route.js";
import { decodeRule } from "../../../kernel/netlink/rule.js";
import { bytes, answeredByLinux as golden, sentByIproute2 } from "./netlinkBytes.js";

describe("answers of netlink", () => {
  it("show a port with its other end in another namespace", () => {
    const { data: _, port: __, ...link } = decodeLink(bytes(golden.port));
    assert.deepEqual(link, {
      index: 2,
      name: "p-bpf",
      alias: "isthmus:p-bpf:client",
      mac: "16:4c:61:f9:43:65",
      mtu: 1400,
      up: true,
      kind: "veth",
      group: 0x6973,
      peer: 2,
      peerNetnsId: 0,
      routeLocalnet: false,
      ipv6: true,
      master: undefined,
    });
    assert.equal(isBridgeMessage(bytes(golden.port)), false);
  });

  it("show a VXLAN device", () => {
    const link = decodeLink(bytes(golden.vxlan));
    assert.deepEqual([link.name, link.kind, link.peerNetnsId], ["x-bpf", "vxlan", undefined]);
    assert.deepEqual(vxlanData(link), { vni: 77, udpPort: 4789, local: "fd00:1::1", learning: false });
  });

  it("show addresses that somebody put there, and leave out link-local ones", () => {
    assert.deepEqual(decodeAddress(bytes(golden.address4)), { index: 2, address: "172.16.1.1/32" });
    assert.deepEqual(decodeAddress(bytes(golden.address6)), { index: 2, address: "2001:db8::1/128" });
    assert.equal(decodeAddress(bytes(golden.linkLocal)), undefined);
  });

  it("leave out an address that a router gave for a while", () => {
    const body = bytes(golden.address6);
    body.writeUInt8(0, body.length - 4); // no longer permanent
    assert.equal(decodeAddress(body), undefined);
  });

  it("show our rules, and leave out the kernel's", () => {
    assert.deepEqual(decodeRule(bytes(golden.rule)), {
      ...{ family: 4, table: 2147483713, priority: 32764, from: "172.16.2.0/24", protocol: 6 },
      ...{ sourcePorts: { first: 1000, last: 2000 }, destinationPorts: { first: 6666, last: 6666 } },
    });
    assert.deepEqual(decodeRule(bytes(golden.rule6)), { family: 6, table: 2147483714, priority: 32763 });
    assert.equal(decodeRule(bytes(golden.ruleOfTheKernel)), undefined);
  });

  it("show our routes, and leave out the kernel's", () => {
    assert.deepEqual(decodeRoute(bytes(golden.routeVia)), { index: 2, prefix: "10.9.0.0/16", via: "172.16.1.2", mtu: 1300 });
    assert.deepEqual(decodeRoute(bytes(golden.routeSource)), { index: 2, prefix: "2001:db8::2/128", source: "2001:db8::1" });
    assert.equal(decodeRoute(bytes(golden.routeOfTheKernel)), undefined);
  });

  it("show permanent neighbours and VXLAN remotes", () => {
    assert.deepEqual(decodeNeighbour(bytes(golden.neighbour)), { index: 2, address: "172.16.1.2", mac: "02:00:00:00:00:0b" });
    assert.deepEqual(decodeFdb(bytes(golden.remote)), { index: 3, mac: "00:00:00:00:00:00", address: "fd00:1::2", vni: 88 });
    assert.equal(decodeFdb(bytes(golden.forwardingOfOneMac)), undefined);
    const passing = bytes(golden.neighbour);
    passing.writeUInt16LE(2, 8); // reachable for now
    assert.equal(decodeNeighbour(passing), undefined);
  });

  it("show a bridge's entries that somebody made, and leave out what it learned and its ports' own", () => {
    // bridge fdb show: the answer for an entry with NDA_MASTER, in each of its states
    const entry = bytes("0700000003000000400000000a00020002000000000a00000800090005000000");
    assert.deepEqual(decodeBridgeFdb(entry), { index: 3, mac: "02:00:00:00:00:0a", yields: false });
    for (const state of [0x80, 0x02, 0x04]) {
      entry.writeUInt16LE(state, 8);
      assert.equal(decodeBridgeFdb(entry), undefined);
    }
    entry.writeUInt16LE(0x02, 8);
    entry.writeUInt8(0x10, 10); // learned elsewhere
    assert.deepEqual(decodeBridgeFdb(entry), { index: 3, mac: "02:00:00:00:00:0a", yields: true });
    assert.equal(decodeBridgeFdb(bytes(golden.remote)), undefined);
  });

  it("show all gateways of a route, and tell all its devices", () => {
    const both = bytes(sentByIproute2.hops);
    assert.deepEqual(decodeRoute(both), { index: 4, prefix: "10.9.0.0/16", hops: ["fe80::2", "fe80::3"] });
    assert.deepEqual(routeDevices(both), [4]);
    both.writeInt32LE(5, both.length - 28); // the second one leads over another device
    assert.deepEqual(decodeRoute(both)?.hops, ["fe80::2", "over 5"]);
    assert.deepEqual(routeDevices(both), [4, 5]);
    assert.deepEqual(routeDevices(bytes(golden.routeVia)), [2]);
    const cut = Buffer.concat([both.subarray(0, 20), bytes("0c000900ff00040004000000")]);
    assert.equal(decodeRoute(cut), undefined, "a length that leads outside");
  });

  it("show filters, and not what holds them", () => {
    assert.deepEqual(decodeFilter(bytes(golden.bpf)), { kind: "bpf", name: "isthmus device 3" });
    assert.deepEqual(decodeFilter(bytes(golden.u32)), { kind: "u32", target: 5, cookie: "isthmus device" });
    assert.equal(decodeFilter(bytes(golden.bpfHolder)), undefined);
    assert.equal(decodeFilter(bytes(golden.u32Holder)), undefined);
  });

  it("give the errno and the kernel's own words", () => {
    const words = text(1, "Invalid nexthop gateway");
    const header = Buffer.alloc(20);
    header.writeInt32LE(-22);
    header.writeUInt32LE(16, 4);
    const capped = { type: 2, flags: 0x300, sequence: 1, body: Buffer.concat([header, words]) };
    assert.deepEqual(decodeError(capped), { errno: 22, detail: "Invalid nexthop gateway" });
    assert.deepEqual(decodeError({ ...capped, flags: 0x100 }), { errno: 22, detail: "" });
    const done = { type: 3, flags: 0x200, sequence: 1, body: Buffer.concat([header.subarray(0, 4), words]) };
    assert.deepEqual(decodeError(done), { errno: 22, detail: "Invalid nexthop gateway" });
    assert.deepEqual(decodeError({ ...done, flags: 0, body: Buffer.alloc(0) }), { errno: 0, detail: "" });
  });
});

describe("attributes and messages", () => {
  const payload = fc.uint8Array({ maxLength: 70 }).map((array) => Buffer.from(array));
  const list = fc.array(fc.tuple(fc.integer({ min: 1, max: 0x3fff }), payload), { maxLength: 8 });

  it("come back as they were written, in order", () => {
    fc.assert(
      fc.property(list, (attributes) => {
        const written = Buffer.concat(attributes.map(([type, value]) => attribute(type, value)));
        assert.equal(written.length % 4, 0);
        assert.deepEqual(attributeList(written), attributes);
        const last = new Map(attributes);
        const found = parseAttributes(written);
        for (let type = 1; type < 64; type++) assert.deepEqual(found.get(type), last.get(type));
        for (const [type, payload] of last) assert.deepEqual(found.get(type), payload);
      }),
    );
  });

  it("come back in one datagram", () => {
    const message = fc.record({ type: fc.nat(0xffff), flags: fc.nat(0xffff), sequence: fc.nat(), body: payload });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 5 }), (messages) => {
        const written = Buffer.concat(messages.map((m) => encodeMessage(m.type, m.flags, m.sequence, m.body)));
        assert.deepEqual(
          decodeMessages(written),
          messages.map((m) => ({ ...m })),
        );
      }),
    );
  });

  it("never read outside of what came, whatever came", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        const buffer = Buffer.from(noise);
        for (const [type, value] of attributeList(buffer)) {
          assert.ok(value.length <= buffer.length);
          assert.notEqual(parseAttributes(buffer).get(type), undefined);
        }
        for (const { body } of decodeMessages(buffer)) assert.ok(body.length <= buffer.length);
      }),
    );
  });

  it("hold numbers and texts", () => {
    const all = parseAttributes(
      Buffer.concat([u8(1, 255), u16(2, 0xbeef), be16(3, 4789), u32(4, 0xfffffff0), u64(5, 2n ** 63n), text(6, "p-a"), flag(7)]),
    );
    assert.deepEqual(
      [readU8(all, 1), readU16(all, 2), readBe16(all, 3), readU32(all, 4), readI32(all, 4), readU64(all, 5), readText(all, 6)],
      [255, 0xbeef, 4789, 0xfffffff0, -16, 2n ** 63n, "p-a"],
    );
    assert.equal(all.get(7)?.length, 0);
  });

  it("read as absent where they are absent or too short", () => {
    const short = parseAttributes(Buffer.concat([1, 2, 3, 4, 5].map((type) => flag(type))));
    assert.deepEqual(
      [
        readU8(short, 1),
        readU16(short, 2),
        readBe16(short, 3),
        readU32(short, 4),
        readI32(short, 4),
        readU64(short, 5),
        readText(short, 9),
      ],
      Array(7).fill(undefined),
    );
    assert.equal(readU8(parseNested(short, 9), 1), undefined);
  });

  it("nest", () => {
    assert.equal(readU32(parseNested(parseAttributes(nested(18, u32(1, 7))), 18), 1), 7);
  });
});
