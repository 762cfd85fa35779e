import assert from "node:assert/strict";
import { Connection, type PathSegment, State } from "../../../api/gen/connection/connection.js";
import { traceOf } from "../../../cli/trace.js";
import { encryptedOf, mechanismOf } from "../../../cli/view.js";

const segment = (name: string, metrics: Record<string, string> = {}): PathSegment => ({
  name,
  id: `id-${name}`,
  token: "secret",
  expires: { seconds: 1_700_000_600, nanos: 0 },
  metrics,
});

const program = (name: string, node: string, ms: string, more: Record<string, string> = {}) =>
  segment(`${name}-${node}`, {
    "isthmus.program": name,
    "isthmus.node": node,
    "isthmus.site": node.split("-")[0] ?? "",
    "isthmus.ms": ms,
    ...more,
  });

const connection = Connection.fromPartial({
  state: State.UP,
  path: {
    index: 0,
    pathSegments: [
      segment("client"),
      program("nsmgr", "paris-1", "9.5"),
      program("forwarder", "paris-1", "8", {
        "isthmus.client_mechanism": "node-tunnel",
        "isthmus.server_mechanism": "kernel",
        "isthmus.encrypted": "true",
      }),
      program("nsmgr", "tokyo-1", "3.25"),
      program("forwarder", "tokyo-1", "2", { "isthmus.datapath": "dead", client_rx_bytes: "42" }),
      segment("icmp-server"),
    ],
  },
});
const hops = traceOf(connection, 1_700_000_000_000);

describe("a trace", () => {
  it("gives each hop its own share of the time", () => {
    assert.deepEqual(
      hops.map((hop) => hop.ms),
      [undefined, 1.5, 4.75, 1.25, 2, undefined],
    );
  });

  it("never gives a hop less than nothing", () => {
    const odd = Connection.fromPartial({
      path: { pathSegments: [program("nsmgr", "a-1", "1"), program("forwarder", "a-1", "2"), program("nsmgr", "b-1", "x")] },
    });
    assert.deepEqual(
      traceOf(odd, 0).map((hop) => hop.ms),
      [0, 2, undefined],
    );
  });

  it("names programs, and the ends by what they are", () => {
    assert.deepEqual(
      hops.map((hop) => `${hop.program} ${hop.node}`),
      ["pod paris-1", "nsmgr paris-1", "forwarder paris-1", "nsmgr tokyo-1", "forwarder tokyo-1", "endpoint tokyo-1"],
    );
  });

  it("says when tokens end, and shows none", () => {
    assert.equal(hops[0]?.expires, "2023-11-14T22:23:20.000Z");
    assert.equal(hops[0]?.expiresInSeconds, 600);
    assert.doesNotMatch(JSON.stringify(hops), /secret/);
  });

  it("says DOWN of the hop whose data path is dead", () => {
    assert.deepEqual(
      hops.map((hop) => hop.state),
      ["UP", "UP", "UP", "UP", "DOWN", "UP"],
    );
  });

  it("keeps what else a hop tells", () => {
    assert.deepEqual(hops[4]?.metrics, { "isthmus.datapath": "dead", client_rx_bytes: "42" });
  });

  it("of a connection without a path is empty", () => {
    assert.deepEqual(traceOf(Connection.fromPartial({}), 0), []);
  });
});

describe("the mechanism of a connection", () => {
  const told = (...metrics: Record<string, string>[]) =>
    Connection.fromPartial({ path: { pathSegments: metrics.map((one, at) => segment(`${at}`, one)) } });

  it("is the one that crosses nodes", () => {
    assert.equal(mechanismOf(connection), "node-tunnel");
    assert.equal(mechanismOf(told({ "isthmus.client_mechanism": "WIREGUARD" })), "wireguard");
    assert.equal(mechanismOf(told({ client_interface: "VXLAN/vx1", "isthmus.client_mechanism": "vxlan" })), "vxlan");
  });

  it("is kernel within a node", () => assert.equal(mechanismOf(told({ "isthmus.client_mechanism": "kernel" })), "kernel"));

  it("is encrypted only where no hop says otherwise", () => {
    assert.equal(encryptedOf(connection), true);
    assert.equal(encryptedOf(told({ "isthmus.encrypted": "true" }, { "isthmus.encrypted": "false" })), false);
    assert.equal(encryptedOf(told({ "isthmus.client_mechanism": "wireguard" })), true);
    assert.equal(encryptedOf(told({ "isthmus.client_mechanism": "vxlan" })), false);
    assert.equal(encryptedOf(told({})), false);
  });
});
