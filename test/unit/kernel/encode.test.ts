import assert from "node:assert/strict";
import { redirectProgram } from "../../../kernel/bpf.js";
import { addAddress, deleteAddress } from "../../../kernel/netlink/address.js";
import { changeBridgePort, createBridge } from "../../../kernel/netlink/bridge.js";
import { addBridgeFdb, addFdb, anyMac, deleteBridgeFdb, deleteFdb } from "../../../kernel/netlink/fdb.js";
import { addClsact, setBpfFilter, setMirredFilter } from "../../../kernel/netlink/filter.js";
import { changeLink, createVeth, createVxlan, deleteGroup, deleteLink } from "../../../kernel/netlink/link.js";
import { encodeMessage } from "../../../kernel/netlink/message.js";
import { addNeighbour } from "../../../kernel/netlink/neighbour.js";
import { addRoute, deleteRoute } from "../../../kernel/netlink/route.js";
import { addRule, deleteRule } from "../../../kernel/netlink/rule.js";
import { bytes, readable, sentByIproute2 } from "./netlinkBytes.js";

/** Says the same as iproute2 does; attributes may come in another order. */
function sameAs(body: Uint8Array, golden: string, header: number, nests: readonly number[] = []): void {
  assert.deepEqual(readable(body, header, new Set(nests)), readable(bytes(golden), header, new Set(nests)));
}

describe("requests to netlink", () => {
  it("make a veth pair as iproute2 does", () => {
    const request = createVeth({ name: "p-a", mtu: 1400, group: 26995 }, { name: "nsm0", mac: "02:00:00:00:00:0a", mtu: 1400 });
    assert.equal(request.type, 16);
    const peer = (body: Uint8Array): unknown => readable(Buffer.from(body).subarray(body.length - 48), 16);
    sameAs(withoutLinkInfo(request.body), hexWithoutLinkInfo(sentByIproute2.veth), 16);
    assert.deepEqual(peer(request.body), peer(bytes(sentByIproute2.veth)));
  });

  it("make a VXLAN device as iproute2 does", () => {
    const request = createVxlan({ name: "x-1", mtu: 1400 }, { vni: 77, local: "fd00:1::1", udpPort: 4789 });
    sameAs(withoutLinkInfo(request.body), hexWithoutLinkInfo(sentByIproute2.vxlan), 16);
    const data = (body: Uint8Array): unknown => readable(Buffer.from(body).subarray(body.length - 52), 0);
    assert.deepEqual(data(request.body), data(bytes(sentByIproute2.vxlan)));
  });

  it("name a device for good and set it up", () => {
    sameAs(changeLink("", 3, { alias: "isthmus:c1", up: true }).body, sentByIproute2.alias, 16);
  });

  it("leave a device's flags alone unless they are asked for", () => {
    assert.equal(
      changeLink("", 3, { mtu: 1400 })
        .body.subarray(8, 16)
        .every((byte) => byte === 0),
      true,
    );
    assert.equal(Buffer.from(changeLink("", 3, { up: false }).body.subarray(8, 16)).toString("hex"), "0000000001000000");
  });

  it("delete one device, or a group", () => {
    assert.equal(Buffer.from(deleteLink("", 3).body).toString("hex"), "00000000030000000000000000000000");
    assert.equal(Buffer.from(deleteGroup("", 7).body.subarray(16)).toString("hex"), "08001b0007000000");
  });

  it("add addresses as iproute2 does, permanent and without duplicate detection", () => {
    const [four, six] = [addAddress("", 2, "172.16.1.1/32").body, addAddress("", 2, "2001:db8::1/128").body];
    assert.deepEqual(withoutFlags(four), readable(bytes(sentByIproute2.address4), 8).slice(1));
    assert.deepEqual(withoutFlags(six), readable(bytes(sentByIproute2.address6), 8).slice(1));
    assert.deepEqual(readable(six, 8).at(-1), [8, "82000000"]);
    assert.equal(deleteAddress("", 2, "172.16.1.1").body[1], 32);
  });

  it("add and delete rules as iproute2 does", () => {
    const ports = { sourcePorts: { first: 1000, last: 2000 }, destinationPorts: { first: 6666, last: 6666 } };
    const rule = { family: 4, table: 2147483713, priority: 32764, from: "172.16.2.7/24", protocol: 6, ...ports } as const;
    sameAs(addRule("", rule).body, sentByIproute2.rule, 12);
    sameAs(deleteRule("", rule).body, sentByIproute2.ruleDeleted, 12);
    sameAs(addRule("", { family: 6, table: 2147483714, priority: 32763 }).body, sentByIproute2.rule6, 12);
  });

  it("put routes into a table of their own, by its number in an attribute where it does not fit the header", () => {
    const route = { prefix: "10.9.0.0/16", table: 2147483713 };
    for (const { body } of [addRoute("", 2, route, "add"), deleteRoute("", 2, route)]) {
      assert.equal(body[4], 0);
      assert.deepEqual(
        readable(body, 12).find((attribute) => Array.isArray(attribute) && attribute[0] === 15),
        [15, "41000080"],
      );
    }
    assert.equal(addRoute("", 2, { prefix: "10.9.0.0/16", table: 77 }, "add").body[4], 77);
  });

  it("set a device's route_localnet without /proc", () => {
    assert.equal(
      Buffer.from(changeLink("", 3, { routeLocalnet: true }).body.subarray(16)).toString("hex"),
      "14001a80100002800c00018008001a0001000000",
    );
  });

  it("add routes as iproute2 does", () => {
    const via = { prefix: "10.9.7.7/16", via: "172.16.1.2", mtu: 1300 };
    sameAs(addRoute("", 2, via, "add").body, sentByIproute2.routeVia, 12, [8]);
    sameAs(addRoute("", 2, { prefix: "172.16.1.2/32", source: "172.16.1.1" }, "add").body, sentByIproute2.routeLink, 12);
    assert.equal(addRoute("", 2, via, "add").flags, 0x600);
    assert.equal(addRoute("", 2, via, "replace").flags, 0x500);
  });

  it("delete routes of ours only, whatever their scope", () => {
    const body = deleteRoute("", 2, { prefix: "10.9.0.0/16", via: "172.16.1.2" }).body;
    assert.deepEqual([body[5], body[6]], [105, 255]);
  });

  it("send an IPv4 route by an IPv6 gateway with the gateway's family", () => {
    const body = addRoute("", 2, { prefix: "10.9.0.0/16", via: "fe80::1" }, "add").body;
    assert.deepEqual(readable(body, 12).at(-1), [18, `0a00${bytes("fe80 0000000000000000000000000001").toString("hex")}`]);
  });

  it("add neighbours and VXLAN remotes as iproute2 does", () => {
    sameAs(addNeighbour("", 2, "172.16.1.2", "02:00:00:00:00:0b").body, sentByIproute2.neighbour, 12);
    const remote = { mac: anyMac, address: "fd00:1::2", vni: 88 };
    sameAs(addFdb("", 4, remote).body, sentByIproute2.remote, 12);
    assert.equal(readable(deleteFdb("", 4, { ...remote, vni: undefined }).body, 12).length, 3);
  });

  it("lead MAC addresses to other nodes and to ports of a bridge as iproute2 does, in place of what was", () => {
    const far = addFdb("", 4, { mac: "02:00:00:00:00:0b", address: "fd00:1::2", vni: 88 });
    sameAs(far.body, sentByIproute2.fdb, 12);
    assert.equal(far.flags, 0x500);
    assert.equal(addFdb("", 4, { mac: anyMac, address: "fd00:1::2", vni: 88 }).flags, 0xc00, "of these there may be several");
    const [ours, theirs] = [deleteBridgeFdb("", 3, "02:00:00:00:00:0a").body, bytes(sentByIproute2.bridgeFdb)];
    theirs.writeUInt16LE(0x40, 8); // where they say that it does not age and is permanent, we say the first
    theirs.writeUInt8(0x44, 10); // and that it does not move
    assert.deepEqual(Buffer.from(ours), theirs);
    const added = addBridgeFdb("", 3, { mac: "02:00:00:00:00:0a", yields: false });
    assert.equal(added.flags, 0x500);
    assert.deepEqual(added.body, ours);
    const yielding = Buffer.from(addBridgeFdb("", 3, { mac: "02:00:00:00:00:0a", yields: true }).body);
    theirs.writeUInt16LE(0x02, 8); // as one that was learned
    theirs.writeUInt8(0x14, 10); // elsewhere
    assert.deepEqual(yielding, theirs);
  });

  it("make bridges and set their ports as iproute2 does", () => {
    const port = { flood: false, learning: false, neighSuppress: true, isolated: true, multicastRouter: true };
    assert.ok(Buffer.from(changeBridgePort("", 3, port).body).includes(bytes(sentByIproute2.bridgePort).subarray(0, 16)));
    const data = (body: Uint8Array, of: number) => readable(Buffer.from(body).subarray(body.length - of), 0).slice(1);
    const golden = bytes(sentByIproute2.bridgePort);
    assert.deepEqual(data(changeBridgePort("", 3, port).body, golden.length), readable(golden, 0).slice(1));
    const made = createBridge({ name: "br-1" }, { multicastSnooping: true, querier: true }).body;
    const whole = bytes(sentByIproute2.bridge);
    assert.deepEqual(data(made.subarray(0, made.length - 8), whole.length), readable(whole, 0).slice(1));
    assert.equal(Buffer.from(made.subarray(-8)).toString("hex"), "0600270000000000", "and no VLAN");
  });

  it("send a route with several gateways as iproute2 does, and one with one as any other", () => {
    const route = { prefix: "10.9.0.0/16", hops: ["fe80::3", "fe80::2"] };
    sameAs(addRoute("", 4, route, "add").body, sentByIproute2.hops, 12);
    const one = { prefix: "10.9.0.0/16", via: "fe80::2" };
    assert.deepEqual(addRoute("", 4, { ...one, hops: ["fe80::2"] }, "add").body, addRoute("", 4, one, "add").body);
  });

  it("hang filters on a device's ingress as tc does", () => {
    sameAs(addClsact("", 3).body, sentByIproute2.clsact, 20);
    const ours = setMirredFilter("", 3, 4, "me").body;
    const theirs = bytes(sentByIproute2.mirred);
    // We choose the filter's number ourselves, mark nothing else, and add a cookie, so the rest is compared.
    const [parent, mirred] = [theirs.subarray(12, 20), "2000020000000000000000000400000000000000000000000100000004000000"];
    assert.deepEqual(Buffer.from(ours.subarray(12, 20)), parent);
    for (const body of [Buffer.from(ours), theirs]) assert.ok(body.includes(bytes(mirred)) && body.includes("mirred\0"));
    const program = readable(setBpfFilter("", 3, { fd: 9, name: "n" }).body, 20, new Set([2]));
    assert.deepEqual(program.slice(1), [
      [1, "62706600"],
      [
        2,
        [
          [6, "09000000"],
          [7, "6e00"],
          [8, "01000000"],
        ],
      ],
    ]);
  });

  it("carry their length, type, flags and number in front", () => {
    assert.equal(encodeMessage(16, 5, 7, bytes("010203")).toString("hex"), "13000000100005000700000000000000" + "01020300");
  });
});

describe("the programs that pass packets on", () => {
  it("have four instructions", () => {
    assert.equal(
      redirectProgram({ index: 3, by: "peer" }).toString("hex"),
      ["b701000003000000", "b702000000000000", "850000009b000000", "9500000000000000"].join(""),
    );
    assert.equal(redirectProgram({ index: 3, by: "device" }).readInt32LE(20), 23);
  });

  it("make room for an Ethernet header and write it where packets come without one", () => {
    const ethernet = { destination: "02:00:00:00:00:0a", source: "02:00:00:00:00:0b" };
    const program = redirectProgram({ index: 3, by: "peer", ethernet });
    assert.equal(program.length / 8, 23);
    assert.ok(program.includes(bytes("62 0a f0ff 02000000")), "the first four bytes of the destination");
    assert.ok(program.includes(bytes("62 0a f4ff 000a0200")), "its last two and the first two of the source");
    assert.ok(program.includes(bytes("62 0a f8ff 0000000b")), "the rest of the source");
  });
});

const IFLA_LINKINFO = 18;

function withoutLinkInfo(body: Uint8Array): Buffer {
  const buffer = Buffer.from(body);
  for (let at = 16; at + 4 <= buffer.length; at += (buffer.readUInt16LE(at) + 3) & ~3) {
    if ((buffer.readUInt16LE(at + 2) & 0x3fff) === IFLA_LINKINFO) return buffer.subarray(0, at);
  }
  return buffer;
}

function hexWithoutLinkInfo(hex: string): string {
  return withoutLinkInfo(bytes(hex)).toString("hex");
}

function withoutFlags(body: Uint8Array): unknown[] {
  return readable(body, 8)
    .slice(1)
    .filter((attribute) => (attribute as unknown[])[0] !== 8);
}
