import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { layout, parseSites } from "../../cli/lab/layout.js";
import { namespacesOf, raiseNetwork, raisePod, removeNetwork } from "../../cli/lab/network.js";
import { check, run } from "../lib/command.js";

for (const underlay of [4, 6] as const) {
  describe(`the network of a lab over IPv${underlay}`, () => {
    const plan = layout("kc-net", underlay, parseSites("paris=2,tokyo=1"));
    const pods = [{ name: "one", node: "paris-1", namespace: "kc-net-pod-one" }];
    const all = { ...plan, nodes: [...plan.nodes], pods };

    before(() => {
      raiseNetwork(plan);
      raisePod("kc-net-pod-one");
    });

    after(() => removeNetwork(all));

    const inside = (namespace: string, ...command: string[]) => check("nsenter", [`--net=/run/netns/${namespace}`, "--", ...command]);
    const reaches = (from: string, address: string) =>
      run("nsenter", [`--net=/run/netns/${from}`, "--", "ping", "-n", "-c", "1", "-W", "2", address]);

    it("joins the nodes of one site and of two", async () => {
      for (const node of plan.nodes.slice(1)) assert.equal((await reaches("kc-net-paris-1", node.address)).code, 0, node.name);
    });

    it("has documented addresses", async () => {
      const expected = underlay === 4 ? ["10.101.0.11", "10.101.0.12", "10.102.0.11"] : ["fd00:101::11", "fd00:101::12", "fd00:102::11"];
      assert.deepEqual(
        plan.nodes.map((node) => node.address),
        expected,
      );
    });

    it("does not let a node route for others", async () => {
      assert.equal((await inside("kc-net-paris-1", "cat", "/proc/sys/net/ipv4/ip_forward")).trim(), "0");
    });

    it("gives a pod a loopback and nothing else", async () => {
      const links = JSON.parse(await inside("kc-net-pod-one", "ip", "-j", "link")) as { ifname: string; flags: string[] }[];
      assert.deepEqual(
        links.map((link) => link.ifname),
        ["lo"],
      );
      assert.ok(links[0]?.flags.includes("UP"));
    });

    it("leaves nothing, and is fine to remove twice", () => {
      removeNetwork(all);
      removeNetwork(all);
      for (const name of namespacesOf(all)) assert.ok(!existsSync(`/run/netns/${name}`), name);
      raiseNetwork(plan);
      raisePod("kc-net-pod-one");
    });
  });
}
