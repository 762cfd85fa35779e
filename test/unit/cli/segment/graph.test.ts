import assert from "node:assert/strict";
import { graphOf } from "../../../../cli/segment/graph.js";
import { mermaid } from "../../../../cli/segment/mermaid.js";
import { abroad, connection, member, meshNode, node, told } from "./world.js";

const paris = node("paris-1", "paris");
const tokyo = node("tokyo-1", "tokyo");
const known = {
  nodes: [meshNode("paris-1", "paris"), meshNode("paris-2", "paris")],
  endpoints: [
    ...told(paris, [member("camera")]),
    ...abroad(told(tokyo, [member("robot", { addresses: ["10.60.64.5", "fd60::5"] })]), "tokyo"),
    ...told({ ...paris, segment: "floor" }),
    ...abroad(told({ ...tokyo, segment: "floor" }), "tokyo"),
  ],
  connections: [connection("echo", 3), connection("echo", 5), { ...connection("plant", 3), path: { index: 0, pathSegments: [] }, id: "p" }],
};

describe("a graph", () => {
  it("has all sites, nodes, segments and connections, each once", () => {
    const { sites, members, tunnels, connections } = graphOf(known, undefined);
    assert.deepEqual(sites, [
      { name: "paris", nodes: ["paris-1", "paris-2"] },
      { name: "tokyo", nodes: ["tokyo-1"] },
    ]);
    assert.deepEqual(
      members.map((one) => `${one.segment} ${one.name} ${one.node}`),
      ["plant camera paris-1", "plant robot tokyo-1"],
    );
    assert.deepEqual(tunnels, [
      {
        between: [
          { site: "paris", node: "paris-1" },
          { site: "tokyo", node: "tokyo-1" },
        ],
        segments: ["floor", "plant"],
      },
    ]);
    assert.deepEqual(connections, [
      {
        ...{ id: "c1", service: "echo", mechanism: "node-tunnel", encrypted: true, state: "UP" },
        client: { name: "client", node: "paris-1", site: "paris" },
        endpoint: { name: "echo-1", node: "tokyo-1", site: "tokyo" },
      },
    ]);
  });

  it("of one segment has nothing besides", () => {
    const { sites, members, tunnels, connections } = graphOf(known, "floor");
    assert.deepEqual(
      sites.map((site) => `${site.name} ${site.nodes}`),
      ["paris paris-1", "tokyo tokyo-1"],
    );
    assert.deepEqual([members, connections, tunnels.map((one) => one.segments)], [[], [], [["floor"]]]);
    assert.deepEqual(graphOf(known, "none"), { sites: [], members: [], tunnels: [], connections: [] });
  });

  it("is drawn for Mermaid", () => {
    assert.equal(
      mermaid(graphOf(known, undefined)),
      `flowchart LR
  subgraph site1["paris"]
    node2["paris-1"]
    node3["paris-2"]
    member4(["camera<br/>10.60.0.5"])
    pod5(["client"])
  end
  subgraph site6["tokyo"]
    node7["tokyo-1"]
    member8(["robot<br/>10.60.64.5<br/>fd60::5"])
    pod9(["echo-1"])
  end
  member4 --- node2
  member8 --- node7
  pod5 --- node2
  pod9 --- node7
  node2 <==>|"floor, plant"| node7
  pod5 -->|"echo<br/>node-tunnel, encrypted"| pod9`,
    );
  });

  it("takes no markup from names", () => {
    const evil = told(node('a"]; click', "<b>"), [member("x", { addresses: ['"<script>'] })]);
    const drawn = mermaid(graphOf({ nodes: [], endpoints: evil, connections: [] }, "plant"));
    assert.match(drawn, /subgraph site1\["#60;b#62;"\]/);
    assert.match(drawn, /node2\["a#34;#93;#59; click"\]/);
    assert.doesNotMatch(drawn, /<script/);
  });
});
