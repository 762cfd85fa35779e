import assert from "node:assert/strict";
import { patience } from "../../lib/mesh/look.js";
import { Mesh } from "../../lib/mesh.js";

const sites = ["paris", "paris", "tokyo"];

/** Asks for "web" on the first node; answers the name of the endpoint that it got. */
async function chosen(mesh: Mesh, pod: string): Promise<string | undefined> {
  return (await mesh.node(1).attach("web", pod)).connection?.networkServiceEndpointName;
}

describe("a client gets an endpoint", () => {
  it("of its own node first, then of its site, then of another one", async () => {
    await using mesh = await Mesh.start({ nodes: 3, sites });
    for (const n of [3, 2, 1]) await mesh.node(n).serve("web", `server-${n}`, { name: `web-${n}`, cidrs: [`172.16.${n}.0/24`] });
    assert.equal(await chosen(mesh, "a"), "web-1");
    await mesh.node(1).client.unserve({ name: "web-1" }, patience);
    assert.equal(await chosen(mesh, "b"), "web-2");
    await mesh.node(2).client.unserve({ name: "web-2" }, patience);
    assert.equal(await chosen(mesh, "c"), "web-3");
  });

  it("of its site although one elsewhere claims to be there", async () => {
    await using mesh = await Mesh.start({ nodes: 3, sites });
    await mesh.node(3).serve("web", "server-3", { name: "web-3", labels: { site: "paris", nodeName: "node-1" } });
    await mesh.node(2).serve("web", "server-2", { name: "web-2", cidrs: ["172.16.2.0/24"] });
    for (const pod of ["a", "b", "c"]) assert.equal(await chosen(mesh, pod), "web-2");
  });
});
