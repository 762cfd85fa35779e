import assert from "node:assert/strict";
import fc from "fast-check";
import { commandsOf } from "../../../kernel/commands.js";
import { difference, keyOf, same } from "../../../kernel/difference.js";
import type { BridgePort, KernelEvent, KernelObject, Netns, Rule, Wireguard, WireguardPeer } from "../../../kernel/model.js";
import { checkDeviceName, deviceName } from "../../../kernel/names.js";
import {
  canonicalAddress,
  canonicalIp,
  canonicalNetwork,
  ipBytes,
  ipText,
  macBytes,
  macText,
  networkOf,
  parsePrefix,
  prefixText,
} from "../../../kernel/netlink/ip.js";
import { resolveNetns } from "../../../kernel/netns.js";
import { EventQueue } from "../../../kernel/queue.js";
import { address, port, remoteOf, route, vxlan } from "../../suite/kernel.js";

const pod: Netns = { path: "/run/netns/a", cookie: "7" };

describe("names of devices", () => {
  it("fit, keep their prefix, and are the same for the same id", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (a, b) => {
        const [one, other] = [deviceName("p", a), deviceName("p", b)];
        assert.equal(one.length, 15);
        assert.match(one, /^p-[0-9a-v]{13}$/);
        checkDeviceName(one);
        assert.equal(one === other, a === b);
      }),
    );
  });

  it("do not take a prefix that leaves too little", () => {
    for (const prefix of ["", "UPPER", "toolong", "1x", "a-b"]) assert.throws(() => deviceName(prefix, "x"), /1 to 5 small letters/);
  });

  it("are refused with the reason", () => {
    const cases: [string, RegExp][] = [
      ["", /is empty/],
      ["sixteen-letters-", /longer than 15/],
      ["ääääääää", /longer than 15/],
      ["..", /is no name/],
      ["a/b", /slash/],
      ["a b", /white space/],
      ["nsm%d", /template/],
    ];
    for (const [name, reason] of cases) assert.throws(() => checkDeviceName(name), reason);
    checkDeviceName("nsm0");
  });
});

describe("addresses", () => {
  const four = fc.uint8Array({ minLength: 4, maxLength: 4 }).map((array) => Buffer.from(array));
  const six = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((array) => Buffer.from(array));

  it("come back from text as they were", () => {
    fc.assert(fc.property(fc.oneof(four, six), (bytes) => assert.deepEqual(ipBytes(ipText(bytes)), bytes)));
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (mac) =>
        assert.deepEqual([...macBytes(macText(Buffer.from(mac)))], [...mac]),
      ),
    );
  });

  it("have one way to be written", () => {
    assert.equal(canonicalIp("2001:DB8:0:0::1"), "2001:db8::1");
    assert.equal(canonicalAddress("FD00::1"), "fd00::1/128");
    assert.equal(canonicalNetwork("10.9.7.7/16"), "10.9.0.0/16");
    assert.equal(canonicalNetwork("::/0"), "::/0");
    for (const text of ["", "nonsense", "1.2.3", "fe80::1%eth0"]) assert.equal(canonicalIp(text), text);
    assert.equal(canonicalNetwork("10.0.0.0/33"), "10.0.0.0/33");
  });

  it("lose the host's bits, and only them, in a network", () => {
    fc.assert(
      fc.property(six, fc.nat(128), (bytes, length) => {
        const network = networkOf(parsePrefix(prefixText(bytes, length)));
        assert.deepEqual(networkOf(network), network);
        const bits = (from: Buffer): string => [...from].map((byte) => byte.toString(2).padStart(8, "0")).join("");
        assert.equal(bits(network.bytes), bits(bytes).slice(0, length).padEnd(128, "0"));
      }),
    );
  });

  it("are refused with the value that is wrong", () => {
    assert.throws(() => ipBytes("10.0.0.256"), /"10.0.0.256" is not an IPv4 or IPv6 address/);
    assert.throws(() => ipBytes("fe80::1%eth0"), /is not an IPv4 or IPv6 address/);
    assert.throws(() => parsePrefix("10.0.0.0/33"), /its length must be 0..32/);
    assert.throws(() => parsePrefix("fd00::/x"), /its length must be 0..128/);
    assert.throws(() => parsePrefix("10.0.0.0/8/8"), /is no prefix/);
    assert.throws(() => macBytes("02:00:00"), /"02:00:00" is not a MAC address/);
  });
});

describe("differences", () => {
  const device: Wireguard = {
    kind: "wireguard",
    name: "w-1",
    alias: "isthmus:w",
    listenPort: 51820,
    privateKeyFile: "/k",
    publicKey: "A",
    mtu: 1420,
  };
  const peer: WireguardPeer = { kind: "wireguard-peer", device: "w-1", publicKey: "B", allowedIps: ["fd00::1/128"], keepalive: 0 };
  const bridge: BridgePort = {
    ...{ bridge: "br-1", flood: false, learning: false },
    ...{ neighSuppress: true, isolated: false, multicastRouter: true },
  };
  const all: KernelObject[] = [
    port("p-a", pod),
    vxlan("x-1", 7),
    remoteOf("x-1"),
    device,
    peer,
    address(pod, "10.0.0.1/32"),
    route(pod, "10.0.0.2/32"),
    { ...route(pod, "10.0.0.2/32"), table: 2147483648 },
    { kind: "rule", where: pod, device: "nsm0", family: 4, table: 2147483648, priority: 32765, sourcePorts: { first: 1, last: 9 } },
    { kind: "rule", where: pod, device: "nsm0", family: 6, table: 2147483648, priority: 32765, from: "fd00::/64", protocol: 6 },
    { ...port("p-b", pod), routeLocalnet: true },
    { ...port("p-c", pod), mac: "02:00:00:00:00:01" },
    { kind: "bridge", name: "br-1", alias: "isthmus:s", mac: "02:00:00:00:00:01", mtu: 1400, multicastSnooping: true, querier: true },
    { ...port("p-d", pod), bridge },
    { ...vxlan("x-2", 8), bridge },
    { kind: "bridge-fdb", device: "p-d", mac: "02:00:00:00:00:0b" },
    { kind: "guard", device: "p-d", mac: "02:00:00:00:00:0b", addresses: ["10.0.0.2", "fd00::2"], spoofing: true },
    { ...route(pod, "10.0.0.3/32"), hops: ["10.0.0.4", "fe80::1"] },
    { kind: "vxlan-fdb", device: "x-1", mac: "02:00:00:00:00:0b", address: "fd00::1", vni: 7 },
    { kind: "vxlan-fdb", device: "x-1", mac: "00:00:00:00:00:00", address: "fd00::1", vni: 7 },
    { kind: "vxlan-fdb", device: "x-1", mac: "00:00:00:00:00:00", address: "fd00::2", vni: 7 },
    { kind: "neighbour", where: pod, device: "nsm0", address: "10.0.0.2", mac: "02:00:00:00:00:0b" },
    { kind: "redirect", from: "p-a", to: "x-1", by: "device" },
    { kind: "vxlan-source", source: "fd00::1", vni: 7 },
  ];

  it("are none between an object and itself, and keys differ between objects", () => {
    for (const object of all) assert.equal(same(object, { ...object }), true, keyOf(object));
    assert.equal(new Set(all.map(keyOf)).size, all.length);
  });

  it("do not hang on how an address is written", () => {
    const [wanted, found] = [route(pod, "FD00::9/64"), { ...route({ ...pod, path: "/proc/1/ns/net" }, "fd00::/64") }];
    assert.equal(same({ ...wanted, via: "FE80::1" }, { ...found, via: "fe80::1" }), true);
    assert.equal(same({ ...vxlan("x", 1), local: "FD00::1" }, { ...vxlan("x", 1), local: "fd00::1" }), true);
    assert.equal(same(peer, { ...peer, allowedIps: ["FD00::1"] }), true);
  });

  it("of a device's own MAC address count only where one is wanted", () => {
    const found = { ...vxlan("x", 1), mac: "02:00:00:00:00:02" };
    assert.equal(same(vxlan("x", 1), found), true);
    assert.equal(same({ ...found, mac: "02:00:00:00:00:02" }, found), true);
    assert.equal(difference({ ...found, mac: "02:00:00:00:00:01" }, found), "mac is 02:00:00:00:00:02, wanted 02:00:00:00:00:01");
  });

  it("of what a device does as a port count only in the same bridge", () => {
    const [wanted, found] = [
      { ...vxlan("x", 1), bridge },
      { ...vxlan("x", 1), bridge: { ...bridge, flood: true } },
    ];
    assert.equal(difference(wanted, found), "flood is true, wanted false");
    assert.equal(difference(wanted, vxlan("x", 1)), "bridge is not set, wanted br-1");
    assert.equal(difference(vxlan("x", 1), found), "bridge is br-1, wanted none");
    assert.equal(difference(wanted, { ...found, bridge: { ...found.bridge, bridge: "br-2" } }), "bridge is br-2, wanted br-1");
  });

  it("of a route's gateways do not hang on their order, or on whether one is named twice", () => {
    const both = { ...route(pod, "10.0.0.2/32"), hops: ["fe80::1", "fe80::2"] };
    assert.equal(same({ ...both, hops: ["FE80::2", "fe80::1"] }, both), true);
    assert.equal(same({ ...both, via: "fe80::1" }, both), true);
    assert.equal(same({ ...both, hops: ["fe80::1"] }, { ...route(pod, "10.0.0.2/32"), via: "fe80::1" }), true);
    assert.equal(difference(both, { ...both, hops: ["fe80::1"] }), "via is fe80::1, wanted fe80::1 fe80::2");
  });

  it("are told in words, the fault first", () => {
    const found = { ...port("p-a", pod), mtu: 1500, fault: "the pod's end is down" };
    assert.equal(difference(port("p-a", pod), found), "the pod's end is down; mtu is 1500, wanted 1400");
    assert.equal(difference(route(pod, "10.0.0.2/32"), { ...route(pod, "10.0.0.2/32"), mtu: 1300 }), "mtu is 1300, wanted none");
    assert.match(
      difference(address(pod, "10.0.0.1/32"), address(pod, "10.0.0.9/32")),
      /^it is address .*10.0.0.9\/32, wanted .*10.0.0.1\/32$/,
    );
  });

  it("of a rule are its selectors and its priority", () => {
    const rule: Rule = { kind: "rule", where: pod, device: "nsm0", family: 6, table: 2147483648, priority: 32765, from: "FD00::/64" };
    assert.equal(same(rule, { ...rule, from: "fd00::1/64" }), true);
    const other = { ...rule, priority: 1, protocol: 6, destinationPorts: { first: 1, last: 2 } };
    assert.equal(difference(rule, other), "priority is 1, wanted 32765; protocol is 6, wanted none; destinationPorts is 1-2, wanted none");
  });

  it("of a peer's endpoint count only where none is known", () => {
    const wanted = { ...peer, endpoint: "192.0.2.1:1" };
    assert.equal(same(wanted, { ...peer, endpoint: "192.0.2.9:9" }), true);
    assert.equal(same(wanted, peer), false);
    assert.equal(same(peer, { ...peer, endpoint: "192.0.2.9:9" }), true);
  });

  it("become commands for every kind", () => {
    const lines = all.flatMap((value) => [
      ...commandsOf({ op: "add", key: "", value }),
      ...commandsOf({ op: "replace", key: "", value, old: value }),
      ...commandsOf({ op: "delete", key: "", old: value }),
    ]);
    for (const line of lines) assert.match(line, /^(ip|wg|tc|bridge|nft|sysctl) /);
    assert.ok(lines.includes("ip -4 -n a rule add pref 32765 sport 1-9 table 2147483648 protocol 105"));
    assert.ok(lines.includes("wg set w-1 peer B allowed-ips fd00::1/128"));
    assert.ok(lines.includes("nft add element inet isthmus sources6 { fd00::1 . 7 }"));
    assert.ok(lines.includes("ip -n a route replace 10.0.0.2/32 dev nsm0 proto 105"));
    for (const line of [
      "ip link add br-1 address 02:00:00:00:00:01 type bridge stp_state 0 mcast_snooping 1 mcast_querier 1 nf_call_iptables 0 nf_call_ip6tables 0 nf_call_arptables 0 vlan_default_pvid 0",
      "ip link set p-d master br-1",
      "bridge link set dev p-d flood off learning off neigh_suppress on isolated off mcast_router 2",
      "bridge fdb delete 02:00:00:00:00:0b dev p-d master",
      "nft add element bridge isthmus macs { p-d . 0x02000000000b }",
      "nft add element bridge isthmus addresses4 { p-d . 10.0.0.2 }",
      "nft add element bridge isthmus addresses6 { p-d . 0xfe80000000000000000000fffe00000b }",
      "nft delete element bridge isthmus open { p-d }",
      "ip -n a route add 10.0.0.3/32 proto 105 nexthop via 10.0.0.4 dev nsm0 onlink nexthop via inet6 fe80::1 dev nsm0 onlink",
    ]) {
      assert.ok(lines.includes(line), line);
    }
    assert.ok(lines.includes("bridge fdb replace 02:00:00:00:00:0b dev x-1 dst fd00::1 vni 7"));
    assert.ok(lines.includes("bridge fdb delete 00:00:00:00:00:00 dev x-1 dst fd00:1::2 vni 88"));
  });
});

describe("the queue of events", () => {
  const changed = (device: string): KernelEvent => ({ kind: "changed", device });

  it("keeps the latest of each device while nobody listens", async () => {
    const queue = new EventQueue();
    for (const event of [changed("a"), changed("b"), changed("a"), { kind: "gone", device: "b" } as const]) queue.push(event);
    assert.deepEqual(await take(queue, 2), [changed("a"), { kind: "gone", device: "b" }]);
  });

  it("says resync in place of all the others", async () => {
    const queue = new EventQueue();
    for (const event of [changed("a"), { kind: "resync" } as const, changed("b")]) queue.push(event);
    assert.deepEqual(await take(queue, 1), [{ kind: "resync" }]);
  });

  it("wakes who waits, and ends with the signal", async () => {
    const queue = new EventQueue();
    const ended = new AbortController();
    const heard = (async () => {
      const events: KernelEvent[] = [];
      for await (const event of queue.take(ended.signal)) {
        events.push(event);
        ended.abort();
      }
      return events;
    })();
    queue.push(changed("a"));
    assert.deepEqual(await heard, [changed("a")]);
  });

  async function take(queue: EventQueue, count: number): Promise<KernelEvent[]> {
    const events: KernelEvent[] = [];
    for await (const event of queue.take(AbortSignal.timeout(1000))) if (events.push(event) === count) break;
    return events;
  }
});

describe("where a namespace is", () => {
  it("is refused in one sentence when it is said in no known way, or is not there", () => {
    assert.throws(() => resolveNetns("http://x"), /file:\/\/\/PATH or inode:\/\/DEV\/INODE, got http:\/\/x/);
    assert.throws(() => resolveNetns("file:///%zz"), /is not a valid URL/);
    assert.throws(() => resolveNetns("file:///run/netns/nobody-has-this"), { code: "not-found" });
    assert.throws(() => resolveNetns("inode://1/2"), { code: "not-found" });
  });
});
