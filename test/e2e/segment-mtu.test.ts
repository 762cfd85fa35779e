import assert from "node:assert/strict";
import { Lab } from "../lib/lab.js";
import { bare, parsePing, pingAll } from "../lib/ping.js";
import { until } from "../lib/until.js";

for (const layer of ["l2", "l3"] as const)
  describe(`the MTU of an ${layer.toUpperCase()} segment`, function () {
    this.timeout(120_000);
    let lab: Lab;

    const mtuIn = async (pod: string): Promise<number> => {
      const [link] = JSON.parse(await lab.exec(`pod-${pod}`, "ip", "-j", "link", "show", "nsm0")) as { mtu: number }[];
      return link?.mtu ?? 0;
    };
    const carries = async (): Promise<number> =>
      (await lab.json<{ carries: number }>("--node", "paris-1", "describe", "segment", "plant")).carries;

    before(async () => {
      lab = await Lab.up("te-segu", { sites: "paris=1,tokyo=1,lima=1" });
      await lab.exec("wan", "ip", "link", "set", "lan-lima", "mtu", "1400");
      // The control plane's TCP finds the way's size by itself.
      await lab.exec("lima-1", "sysctl", "-q", "-w", "net.ipv4.tcp_mtu_probing=2");
      await lab.ctl("create", "segment", "plant", "--layer", layer, "--prefix", "10.60.0.0/16", "--sites", "paris,tokyo,lima");
      for (const [pod, node] of [
        ["a", "paris-1"],
        ["c", "tokyo-1"],
        ["d", "lima-1"],
      ] as const)
        await lab.pod(pod, node);
      for (const node of ["tokyo-1", "lima-1"])
        await until(`${node} knows it`, 5_000, async () => (await lab.ctl("--node", node, "get", "services")).includes("plant"));
    });

    after(async () => {
      await lab[Symbol.asyncDispose]();
    });

    it("is the least of the ways between its nodes, changes while it is in use, and is there again when the narrow one has left", async () => {
      const a = await lab.request("paris-1", "plant", "a");
      await lab.request("tokyo-1", "plant", "c");
      const wide = await mtuIn("a");
      assert.equal(wide, a.mtu);
      const d = await lab.request("lima-1", "plant", "d");
      await until("all have the narrow way's", 10_000, async () => {
        const [here, there, narrow] = [await mtuIn("a"), await mtuIn("c"), await mtuIn("d")];
        return here < wide && here === there && there === narrow;
      });
      const narrow = await mtuIn("a");
      await until("it is shown", 5_000, async () => (await carries()) === narrow);
      const largest = ["-M", "do", "-s", String(narrow - 28)];
      await pingAll(lab, "a", [bare(d.addresses[0] ?? "")], ...largest);
      await pingAll(lab, "d", [bare(a.addresses[0] ?? "")], ...largest);
      await lab.close("lima-1", d.id);
      await until("the wide ones are among themselves", 10_000, async () => (await mtuIn("a")) === wide && (await mtuIn("c")) === wide);
      const { stdout } = await lab.tryExec(
        "pod-c",
        "ping",
        "-n",
        "-c",
        "2",
        "-M",
        "do",
        "-s",
        String(wide - 28),
        bare(a.addresses[0] ?? ""),
      );
      assert.equal(parsePing(stdout).lost, 0);
    });
  });
