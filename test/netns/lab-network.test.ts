import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { layout, parseSites } from "../../cli/lab/layout.js";
import { withNat } from "../../cli/lab/nat.js";
import { namespacesOf, raiseNetwork, raisePod, removeNetwork } from "../../cli/lab/network.js";
import { check, Running, run } from "../lib/command.js";
import { until } from "../lib/until.js";

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

for (const underlay of [4, 6] as const) {
  describe(`a lab's routers that translate IPv${underlay}`, () => {
    const sites = parseSites("paris=1,tokyo=2,lima=1");
    const plan = layout("kc-nat", underlay, withNat(sites, "tokyo=control,lima=closed"));
    const all = { ...plan, nodes: [...plan.nodes], pods: [] };
    const [paris, tokyo, , lima] = plan.nodes;
    const [outside, hidden] = [plan.sites[1]?.nat?.address ?? "", plan.sites[2]?.nat?.address ?? ""];

    before(() => raiseNetwork(plan));
    after(() => removeNetwork(all));

    const inside = (node: { readonly namespace: string } | undefined, ...command: string[]) =>
      [`--net=/run/netns/${node?.namespace}`, "--", ...command] as const;
    const reaches = async (from: typeof paris, to: typeof paris) =>
      (await run("nsenter", [...inside(from, "ping", "-n", "-c", "1", "-W", "1", to?.address ?? "")])).code === 0;
    /** What a listener at a node's port prints when `from` dials that address and port. */
    async function dial(from: typeof paris, address: string, port: number, to: typeof paris, at: number): Promise<string> {
      await using listener = new Running("nsenter", [...inside(to, "nc", `-${underlay}`, "-v", "-n", "-l", "-p", String(at))]);
      await listener.printed(/Listening/i);
      const { code } = await run("nsenter", [...inside(from, "nc", "-n", "-z", "-w", "1", address, String(port))]);
      // It ends by itself after its first caller.
      return (await (code === 0 ? listener.done : listener.stop())).stderr;
    }

    it("let nobody in but by the ports that are forwarded", async () => {
      assert.equal(await reaches(paris, tokyo), false);
      assert.equal(await reaches(paris, lima), false);
      assert.match(await dial(paris, outside, 6001, tokyo, 5001), /Connection received on/i);
      assert.doesNotMatch(await dial(paris, outside, 5001, tokyo, 5001), /received/i);
      assert.doesNotMatch(await dial(paris, hidden, 6001, lima, 5001), /received/i);
    });

    it("let everybody out, as one address", async () => {
      assert.equal(await reaches(tokyo, paris), true);
      assert.equal(await reaches(lima, paris), true);
      const seen = await dial(lima, paris?.address ?? "", 5001, paris, 5001);
      assert.ok(seen.includes(hidden), seen);
    });

    it("leave the site itself alone", async () => {
      await until("neighbours see one another", 2_000, () => reaches(plan.nodes[2], tokyo));
    });
  });
}
