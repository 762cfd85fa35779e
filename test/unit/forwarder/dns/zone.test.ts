import assert from "node:assert/strict";
import type { SegmentMember } from "../../../../core/segment/membership.js";
import { Zone } from "../../../../forwarder/dns/zone.js";
import { lines, member } from "../../../lib/dns.js";

const members: readonly SegmentMember[] = [
  member("camera", { addresses: ["10.60.0.5", "fd60::5"] }),
  member("web-1", { addresses: ["10.60.0.6", "fd60::6"], services: ["http:80/tcp", "chat"] }),
  member("web-2", { addresses: ["10.60.1.6"], services: ["http:8080/tcp"] }),
  member("phone", { addresses: ["10.60.1.7"], services: ["sip:5060/udp"] }),
  member("gateway"),
];
const prefixes = ["10.60.0.0/16", "fd60::/48"];

function zone(of: readonly SegmentMember[] = members, domain = "plant.mesh"): Zone {
  return new Zone({ domain, segment: "factory", members: of, prefixes });
}

/** What a question brings: the code, and records by section. */
function found(name: string, type = "A", turn = 0, of = zone()): string[] | undefined {
  const told = of.find({ name, type }, turn);
  return told && [told.rcode, ...lines(told.answers), ...lines(told.authorities).map((line) => `(${line})`), ...lines(told.additionals)];
}

const soa = "(plant.mesh SOA minimum 1)";

describe("the names of a segment", () => {
  for (const [name, type, expected] of [
    ["camera.factory.plant.mesh", "A", ["NOERROR", "camera.factory.plant.mesh A 10.60.0.5"]],
    ["camera.factory.plant.mesh", "AAAA", ["NOERROR", "camera.factory.plant.mesh AAAA fd60::5"]],
    ["5.0.60.10.in-addr.arpa", "PTR", ["NOERROR", "5.0.60.10.in-addr.arpa PTR camera.factory.plant.mesh"]],
    ["chat.factory.plant.mesh", "A", ["NOERROR", "chat.factory.plant.mesh A 10.60.0.6"]],
    [
      "_http._tcp.factory.plant.mesh",
      "SRV",
      [
        "NOERROR",
        "_http._tcp.factory.plant.mesh SRV web-1.factory.plant.mesh:80",
        "_http._tcp.factory.plant.mesh SRV web-2.factory.plant.mesh:8080",
        "web-1.factory.plant.mesh A 10.60.0.6",
        "web-1.factory.plant.mesh AAAA fd60::6",
        "web-2.factory.plant.mesh A 10.60.1.6",
      ],
    ],
    [
      "_sip._udp.factory.plant.mesh",
      "SRV",
      ["NOERROR", "_sip._udp.factory.plant.mesh SRV phone.factory.plant.mesh:5060", "phone.factory.plant.mesh A 10.60.1.7"],
    ],
    ["plant.mesh", "SOA", ["NOERROR", "plant.mesh SOA minimum 1"]],
  ] as const)
    it(`has ${type} of ${name}`, () => assert.deepEqual(found(name, type), expected));

  it("has the name of an IPv6 address", () => {
    const name = `6.${"0.".repeat(27)}0.6.d.f.ip6.arpa`;
    assert.deepEqual(found(name, "PTR"), ["NOERROR", `${name} PTR web-1.factory.plant.mesh`]);
  });

  it("gives all addresses of all members that serve something, another first each time", () => {
    const first = (turn: number) => found("http.factory.plant.mesh", "A", turn)?.map((line) => line.split(" ").at(-1));
    assert.deepEqual(first(0), ["NOERROR", "10.60.0.6", "10.60.1.6"]);
    assert.deepEqual(first(1), ["NOERROR", "10.60.1.6", "10.60.0.6"]);
    assert.deepEqual(first(2), first(0));
  });

  it("lets every record end after a second", () => {
    for (const name of ["camera.factory.plant.mesh", "nobody.factory.plant.mesh"]) {
      const { answers = [], authorities = [] } = zone().find({ name, type: "A" }) ?? {};
      assert.deepEqual(
        [...answers, ...authorities].map((record) => ("ttl" in record ? record.ttl : undefined)),
        [1],
      );
    }
  });

  it("takes upper and lower case for the same, and answers as it was asked", () => {
    assert.deepEqual(found("CaMera.FACTORY.plant.Mesh"), ["NOERROR", "CaMera.FACTORY.plant.Mesh A 10.60.0.5"]);
    assert.deepEqual(found("camera.factory.plant.mesh", "A", 0, zone(members, "Plant.Mesh"))?.[0], "NOERROR");
  });

  for (const [name, type, expected] of [
    ["nobody.factory.plant.mesh", "A", ["NXDOMAIN", soa]],
    ["camera.other.plant.mesh", "A", ["NXDOMAIN", soa]],
    ["x.camera.factory.plant.mesh", "A", ["NXDOMAIN", soa]],
    ["_chat._tcp.factory.plant.mesh", "SRV", ["NXDOMAIN", soa]],
    ["camera.factory.plant.mesh", "TXT", ["NOERROR", soa]],
    ["web-2.factory.plant.mesh", "AAAA", ["NOERROR", soa]],
    ["gateway.factory.plant.mesh", "A", ["NOERROR", soa]],
    ["factory.plant.mesh", "A", ["NOERROR", soa]],
    ["plant.mesh", "A", ["NOERROR", soa]],
    ["_tcp.factory.plant.mesh", "SRV", ["NOERROR", soa]],
    ["9.9.60.10.in-addr.arpa", "PTR", ["NXDOMAIN", "(60.10.in-addr.arpa SOA minimum 1)"]],
    ["x.5.0.60.10.in-addr.arpa", "PTR", ["NXDOMAIN", "(60.10.in-addr.arpa SOA minimum 1)"]],
    ["0.60.10.in-addr.arpa", "PTR", ["NOERROR", "(60.10.in-addr.arpa SOA minimum 1)"]],
    ["1.0.6.d.f.ip6.arpa", "PTR", undefined],
    ["0.0.0.0.0.0.0.0.0.6.d.f.ip6.arpa", "PTR", ["NOERROR", "(0.0.0.0.0.0.0.0.0.6.d.f.ip6.arpa SOA minimum 1)"]],
  ] as const)
    it(`tells ${expected?.[0] ?? "nothing"} for ${type} of ${name}`, () => assert.deepEqual(found(name, type), expected));

  for (const name of [
    "example.org",
    "mesh",
    "notplant.mesh",
    "xplant.mesh",
    ".",
    "10.in-addr.arpa",
    "5.0.61.10.in-addr.arpa",
    "300.0.60.10.in-addr.arpa",
    "in-addr.arpa",
    "constructor",
  ])
    it(`has nothing to say of ${name}`, () => assert.equal(found(name, "PTR"), undefined));

  it("has the names of addresses only of members, where it knows no prefixes", () => {
    const plain = new Zone({ domain: "plant.mesh", segment: "factory", members });
    assert.equal(found("5.0.60.10.in-addr.arpa", "PTR", 0, plain)?.[0], "NOERROR");
    assert.deepEqual(found("5.0.60.10.in-addr.arpa", "A", 0, plain), ["NOERROR", "(5.0.60.10.in-addr.arpa SOA minimum 1)"]);
    assert.equal(found("9.0.60.10.in-addr.arpa", "PTR", 0, plain), undefined);
  });

  it("believes the later of two who say that they have a name or an address", () => {
    const both = [
      member("camera", { addresses: ["10.60.0.5"], sequence: 2 }),
      member("camera", { addresses: ["10.60.0.6"], sequence: 1 }),
      member("thief", { addresses: ["10.60.0.5"], sequence: 1 }),
    ];
    for (const order of [both, [...both].reverse()]) {
      const of = zone(order);
      assert.deepEqual(found("camera.factory.plant.mesh", "A", 0, of)?.slice(1), ["camera.factory.plant.mesh A 10.60.0.5"]);
      assert.deepEqual(found("thief.factory.plant.mesh", "A", 0, of), ["NOERROR", soa]);
      assert.match(found("5.0.60.10.in-addr.arpa", "PTR", 0, of)?.[1] ?? "", /camera/);
    }
  });

  it("reads a member once, however many zones of others it is in", () => {
    let reads = 0;
    const counted = Object.defineProperty(member("counted"), "addresses", {
      get: () => {
        reads++;
        return ["10.60.0.9"];
      },
    });
    for (const others of [[], members]) {
      const of = zone([counted, ...others]);
      assert.deepEqual(found("counted.factory.plant.mesh", "A", 0, of)?.slice(1), ["counted.factory.plant.mesh A 10.60.0.9"]);
    }
    assert.equal(reads, 1);
  });

  it("gives a member's name to nobody who only serves something of that name", () => {
    const of = zone([...members, member("thief", { addresses: ["10.60.0.66"], services: ["camera:80/tcp"] })]);
    assert.deepEqual(found("camera.factory.plant.mesh", "A", 0, of)?.slice(1), ["camera.factory.plant.mesh A 10.60.0.5"]);
  });

  it("leaves out what is no name, address or service", () => {
    const odd = [
      member("a.b", { addresses: ["10.60.0.5"] }),
      member("UPPER", { addresses: ["10.60.0.5"] }),
      member("odd", { addresses: ["10.60.0.300", "fe80::1%eth0", "fd60::0:7"], services: ["http:80", "x y"] }),
    ];
    assert.deepEqual(found("odd.factory.plant.mesh", "ANY", 0, zone(odd)), ["NOERROR", "odd.factory.plant.mesh AAAA fd60::7"]);
    for (const name of ["a.b", "upper", "http"]) assert.equal(found(`${name}.factory.plant.mesh`, "A", 0, zone(odd))?.[0], "NXDOMAIN");
  });

  it("refuses a prefix that is none", () => {
    assert.throws(() => new Zone({ domain: "plant.mesh", segment: "factory", members, prefixes: ["10.60/16"] }), { code: "invalid" });
  });
});
