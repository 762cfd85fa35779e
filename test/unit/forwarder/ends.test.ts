import assert from "node:assert/strict";
import { Connection } from "../../../api/gen/connection/connection.js";
import { OwnEnd, type Underlay } from "../../../forwarder/mechanisms/ends.js";
import { systemClock } from "../../../program/clock.js";
import { testIdentity } from "../../lib/identities.js";

const inside = { ip: "10.0.0.1", port: 51820 };

describe("forwarder: where the other side reaches this node", () => {
  const own = (external: Underlay["external"]) =>
    new OwnEnd({ underlay: { ip: "10.0.0.1", mtu: 1500, wireguard: "kernel", external }, site: "paris", trustDomain: "paris.test" });
  /** A request that goes on to that endpoint. */
  const to = (networkServiceEndpointName: string) => Connection.fromPartial({ networkServiceEndpointName });
  /** A request that has come here, by way of the own nsmgr, from a forwarder of that trust domain. */
  async function from(domain: string): Promise<Connection> {
    const { tokens } = await testIdentity(`spiffe://${domain}/node/a/forwarder`, systemClock);
    const { token } = await tokens("spiffe://paris.test/node/b/nsmgr");
    const pathSegments = [{}, {}, { token }, {}, {}];
    return Connection.fromPartial({ networkServiceEndpointName: "echo-1", path: { index: 4, pathSegments } });
  }

  const nat = { host: "198.51.100.1", port: 443 };

  it("is inside for the own site, also under its name", async () => {
    for (const external of [undefined, nat, "none"] as const)
      for (const connection of [to("echo-1"), to("echo-1@paris"), await from("paris.test")])
        assert.deepEqual(own(external).at(connection, 51820, true), inside);
  });

  it("is outside for another, whoever of the two asks", async () => {
    for (const connection of [to("echo-1@tokyo"), await from("tokyo.test"), await from("paris.test.example")]) {
      assert.deepEqual(own(nat).at(connection, 51820, true), { ip: "198.51.100.1", port: 443 });
      assert.deepEqual(own({ host: "198.51.100.1" }).at(connection, 51820, true), { ip: "198.51.100.1", port: 51820 });
      assert.equal(own("none").at(connection, 51820, true), undefined);
      assert.deepEqual(own(undefined).at(connection, 51820, true), inside);
    }
  });

  it("is under the own number for ports that are not the one that was configured", () => {
    assert.deepEqual(own(nat).at(to("echo-1@tokyo"), 51821), { ip: "198.51.100.1", port: 51821 });
  });

  it("is inside for a path without tokens, as a test's or a broken one", () => {
    const connection = Connection.fromPartial({ path: { index: 2, pathSegments: [{ token: "x" }, {}, {}] } });
    assert.deepEqual(own(nat).at(connection, 51820, true), inside);
  });
});
