import assert from "node:assert/strict";
import { Connection } from "../../../../api/gen/connection/connection.js";
import { NetworkServiceEndpoint } from "../../../../api/gen/registry/registry.js";
import { chain, type Handler } from "../../../../core/chain.js";
import { memberLabels, membershipName, nodeLabels } from "../../../../core/segment/membership.js";
import { elsewhere } from "../../../../forwarder/segments/elsewhere.js";

const id = "spiffe://paris/node/paris-1/forwarder";
const ends = { publicKey: "k=", vni: 9_000_000, at: "192.0.2.1:51820", abroad: undefined, blocks: [], mtu: 0 };
const camera = { name: "camera", mac: "02:00:00:00:00:01", addresses: [], announces: [], services: [], sequence: 1 };

function endpoint(name: string, labels: Record<string, string>): NetworkServiceEndpoint {
  return NetworkServiceEndpoint.fromPartial({ name, networkServiceNames: ["floor"], networkServiceLabels: { floor: { labels } } });
}

const node = endpoint(
  `${membershipName("floor", "f")}@paris`,
  nodeLabels({ segment: "floor", id, node: "paris-1", site: "paris", ...ends }),
);
const members = endpoint(`${membershipName("floor", "f", 0)}@paris`, memberLabels(id, [camera]));

describe("a segment of other sites", () => {
  const next: Handler = { request: async ({ connection }) => ({ ...connection, payload: "passed" }), close: async () => {} };
  const request = async (endpoints: readonly NetworkServiceEndpoint[] | Error, established = false, endpoint = "") => {
    const endpointsOf = async () => {
      if (endpoints instanceof Error) throw endpoints;
      return endpoints;
    };
    const connection = Connection.fromPartial({ id: "c", networkService: "floor", networkServiceEndpointName: endpoint });
    const call = { connection, preferences: [], signal: new AbortController().signal, established };
    return (await chain([elsewhere({ directory: { endpointsOf }, site: "tokyo" })], next).request(call)).payload;
  };

  it("is refused, with what to do", () =>
    assert.rejects(request([node, members]), {
      code: "denied",
      message: /^floor is a segment of paris, and tokyo does not take part in it; where it was made, apply it with tokyo among its sites/,
    }));

  it("is told from what is none, from what is not known, and from what is here too", async () => {
    for (const endpoints of [
      [],
      [endpoint("web@paris", {})],
      [endpoint("web@paris", { id: "7" })],
      [node, members, endpoint("floor-1", {})],
      [{ ...node, name: membershipName("floor", "f") }],
      new Error("away"),
    ])
      assert.equal(await request(endpoints), "passed");
    assert.equal(await request([node], true), "passed", "a connection that there is");
    assert.equal(await request([node], false, node.name), "passed", "an endpoint that was chosen before");
  });
});
