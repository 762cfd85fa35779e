import assert from "node:assert/strict";
import type { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import * as conn from "../../../api/gen/connection/connection.js";
import * as ctx from "../../../api/gen/connectioncontext/connectioncontext.js";
import * as health from "../../../api/gen/grpc/health/v1/health.js";
import * as ns from "../../../api/gen/networkservice/networkservice.js";
import * as reg from "../../../api/gen/registry/registry.js";
import { entry, field, hex, number } from "./bytes.js";

interface Message<T> {
  encode(message: T): BinaryWriter;
  decode(input: BinaryReader | Uint8Array): T;
  fromPartial(object: object): T;
  toJSON(message: T): unknown;
}

/** The fields of the message, and the bytes that the field numbers of the contract give. */
function vector<T>(name: string, message: Message<T>, value: object, bytes: readonly number[]): void {
  it(`${name} has the contract's field numbers`, () => {
    assert.equal(hex(message.encode(message.fromPartial(value)).finish()), hex(bytes));
    assert.deepEqual(message.toJSON(message.decode(Uint8Array.from(bytes))), message.toJSON(message.fromPartial(value)));
  });
}

describe("the bytes of NSM's messages", () => {
  it("begin with one that is spelled out to the last byte", () => {
    const mechanism = conn.Mechanism.fromPartial({ cls: "LOCAL", type: "KERNEL", parameters: { name: "nsm0" } });
    const spelled = "0a05 4c4f43414c 1206 4b45524e454c 1a0c 0a04 6e616d65 1204 6e736d30".replaceAll(" ", "");
    assert.equal(hex(conn.Mechanism.encode(mechanism).finish()), spelled);
  });

  const mechanism = { cls: "REMOTE", type: "VXLAN", parameters: { vni: "77" } };
  const mechanismBytes = [...field(1, "REMOTE"), ...field(2, "VXLAN"), ...entry(3, "vni", "77")];
  vector("Mechanism", conn.Mechanism, mechanism, mechanismBytes);

  const time = { seconds: 1_900_000_000, nanos: 5 };
  const timeBytes = [...number(1, 1_900_000_000), ...number(2, 5)];
  const segment = { name: "nsmgr", id: "i1", token: "jwt", expires: time, metrics: { rx: "1" } };
  const segmentBytes = [...field(1, "nsmgr"), ...field(2, "i1"), ...field(3, "jwt"), ...field(4, timeBytes), ...entry(5, "rx", "1")];
  vector("PathSegment", conn.PathSegment, segment, segmentBytes);

  const path = { index: 1, pathSegments: [segment, segment] };
  const pathBytes = [...number(1, 1), ...field(2, segmentBytes), ...field(2, segmentBytes)];
  vector("Path", conn.Path, path, pathBytes);

  const ip = {
    srcIpAddrs: ["10.0.0.1/32"],
    dstIpAddrs: ["10.0.0.0/32"],
    srcIpRequired: true,
    dstIpRequired: true,
    srcRoutes: [{ prefix: "10.0.0.0/32", nextHop: "10.0.0.9" }],
    dstRoutes: [{ prefix: "10.0.0.1/32", nextHop: "" }],
    excludedPrefixes: ["10.96.0.0/12"],
    ipNeighbors: [{ ip: "10.0.0.0", hardwareAddress: "02:00:00:00:00:01" }],
    extraPrefixRequest: [{ addrFamily: { family: ctx.IpFamily_Family.IPV6 }, prefixLen: 64, requiredNumber: 1, requestedNumber: 2 }],
    extraPrefixes: ["2001:db8::/64"],
    policies: [{ from: "10.1.0.1/32", proto: "6", dstPort: "80-90", srcPort: "1", routes: [{ prefix: "::/0", nextHop: "fe80::1" }] }],
  };
  const ipBytes = [
    ...field(1, "10.0.0.1/32"),
    ...field(2, "10.0.0.0/32"),
    ...number(3, 1),
    ...number(4, 1),
    ...field(5, field(1, "10.0.0.0/32"), field(2, "10.0.0.9")),
    ...field(6, field(1, "10.0.0.1/32")),
    ...field(7, "10.96.0.0/12"),
    ...field(8, field(1, "10.0.0.0"), field(2, "02:00:00:00:00:01")),
    ...field(9, field(1, number(1, 1)), number(2, 64), number(3, 1), number(4, 2)),
    ...field(10, "2001:db8::/64"),
    ...field(11, field(1, "10.1.0.1/32"), field(2, "6"), field(3, "80-90"), field(4, "1"), field(5, field(1, "::/0"), field(2, "fe80::1"))),
  ];
  vector("IPContext", ctx.IPContext, ip, ipBytes);

  const context = {
    ipContext: ip,
    dnsContext: { configs: [{ dnsServerIps: ["10.0.0.53"], searchDomains: ["mesh"] }] },
    ethernetContext: { srcMac: "02:00:00:00:00:02", dstMac: "02:00:00:00:00:03", vlanTag: 300 },
    extraContext: { "isthmus.mechanism": "wireguard" },
    MTU: 1370,
  };
  const contextBytes = [
    ...field(1, ipBytes),
    ...field(2, field(1, field(1, "10.0.0.53"), field(2, "mesh"))),
    ...field(3, field(1, "02:00:00:00:00:02"), field(2, "02:00:00:00:00:03"), number(3, 300)),
    ...entry(4, "isthmus.mechanism", "wireguard"),
    ...number(5, 1370),
  ];
  vector("ConnectionContext", ctx.ConnectionContext, context, contextBytes);

  const connection = {
    id: "c1",
    networkService: "icmp",
    mechanism,
    context,
    labels: { app: "a" },
    path,
    networkServiceEndpointName: "nse-1",
    payload: "IP",
    state: conn.State.RESELECT_REQUESTED,
  };
  const connectionBytes = [
    ...field(1, "c1"),
    ...field(2, "icmp"),
    ...field(3, mechanismBytes),
    ...field(4, contextBytes),
    ...entry(5, "app", "a"),
    ...field(6, pathBytes),
    ...field(7, "nse-1"),
    ...field(8, "IP"),
    ...number(9, 3),
  ];
  vector("Connection", conn.Connection, connection, connectionBytes);
  vector("NetworkServiceRequest", ns.NetworkServiceRequest, { connection, mechanismPreferences: [mechanism, mechanism] }, [
    ...field(1, connectionBytes),
    ...field(2, mechanismBytes),
    ...field(2, mechanismBytes),
  ]);
  vector("ConnectionEvent", conn.ConnectionEvent, { type: conn.ConnectionEventType.DELETE, connections: { c1: connection } }, [
    ...number(1, 2),
    ...entry(2, "c1", connectionBytes),
  ]);
  vector("MonitorScopeSelector", conn.MonitorScopeSelector, { pathSegments: [segment], networkServices: ["a", "b"] }, [
    ...field(1, segmentBytes),
    ...field(2, "a"),
    ...field(2, "b"),
  ]);

  const match = {
    sourceSelector: { app: "a" },
    routes: [{ destinationSelector: { app: "b" }, weight: 3 }],
    fallthrough: true,
    metadata: { labels: { p2p: "true" } },
  };
  const service = { name: "icmp", payload: "IP", matches: [match], pathIds: ["spiffe://x/y"] };
  const serviceBytes = [
    ...field(1, "icmp"),
    ...field(2, "IP"),
    ...field(3, entry(1, "app", "a"), field(2, entry(1, "app", "b"), number(2, 3)), number(3, 1), field(4, entry(1, "p2p", "true"))),
    ...field(4, "spiffe://x/y"),
  ];
  vector("NetworkService", reg.NetworkService, service, serviceBytes);

  const endpoint = {
    name: "nse-1",
    networkServiceNames: ["icmp", "dns"],
    networkServiceLabels: { icmp: { labels: { app: "b" } } },
    url: "tcp://10.0.0.1:5001",
    expirationTime: time,
    initialRegistrationTime: time,
    pathIds: ["spiffe://x/y"],
  };
  const endpointBytes = [
    ...field(1, "nse-1"),
    ...field(2, "icmp"),
    ...field(2, "dns"),
    ...entry(3, "icmp", entry(1, "app", "b")),
    ...field(4, "tcp://10.0.0.1:5001"),
    ...field(5, timeBytes),
    ...field(6, timeBytes),
    ...field(7, "spiffe://x/y"),
  ];
  vector("NetworkServiceEndpoint", reg.NetworkServiceEndpoint, endpoint, endpointBytes);

  vector("NetworkServiceQuery", reg.NetworkServiceQuery, { networkService: service, watch: true }, [
    ...field(1, serviceBytes),
    ...number(2, 1),
  ]);
  vector("NetworkServiceResponse", reg.NetworkServiceResponse, { networkService: service, deleted: true }, [
    ...field(1, serviceBytes),
    ...number(2, 1),
  ]);
  vector("NetworkServiceEndpointQuery", reg.NetworkServiceEndpointQuery, { networkServiceEndpoint: endpoint, watch: true }, [
    ...field(1, endpointBytes),
    ...number(2, 1),
  ]);
  vector("NetworkServiceEndpointResponse", reg.NetworkServiceEndpointResponse, { networkServiceEndpoint: endpoint, deleted: true }, [
    ...field(1, endpointBytes),
    ...number(2, 1),
  ]);
  vector(
    "HealthCheckRequest",
    health.HealthCheckRequest,
    { service: "networkservice.NetworkService" },
    field(1, "networkservice.NetworkService"),
  );
  vector("HealthCheckResponse", health.HealthCheckResponse, { status: 1 }, number(1, 1));
});
