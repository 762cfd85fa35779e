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

    /** A host with an MTU of 1500 behind the pod, from which it reaches the segment: on L2 the pod takes itself for one. */
    const hostBehind = async (pod: string, address: string): Promise<string> => {
      if (layer === "l2") {
        await lab.exec(`pod-${pod}`, "ip", "route", "replace", "10.60.0.0/16", "dev", "nsm0", "src", address, "advmss", "1460");
        return pod;
      }
      await lab.pod("host", "paris-1");
      await lab.exec(`pod-${pod}`, "ip", "link", "add", "lan0", "type", "veth", "peer", "name", "eth1", "netns", `${lab.prefix}-pod-host`);
      await lab.exec(`pod-${pod}`, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1");
      for (const [where, device, own] of [
        [`pod-${pod}`, "lan0", "192.168.10.1/24"],
        ["pod-host", "eth1", "192.168.10.2/24"],
      ] as const) {
        await lab.exec(where, "ip", "address", "add", own, "dev", device);
        await lab.exec(where, "ip", "link", "set", device, "up");
      }
      await lab.exec("pod-host", "ip", "route", "add", "10.60.0.0/16", "via", "192.168.10.1");
      return "host";
    };
    /** The size of TCP's segments that a pod is asked for by one that opens a connection to it. */
    const askedOf = async (to: string, address: string, from: string): Promise<number> => {
      await using capture = lab.spawn(`pod-${to}`, "tcpdump", "-n", "-l", "--immediate-mode", "-i", "nsm0", "tcp[tcpflags] == tcp-syn");
      await capture.printed(/listening on/);
      const arrived = capture.printed(/mss \d+/);
      await lab.tryExec(`pod-${from}`, "timeout", "2", "bash", "-c", `echo > /dev/tcp/${address}/9`);
      await arrived;
      return Number(/mss (\d+)/.exec((await capture.stop()).stdout)?.[1]);
    };

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
      const a = await lab.request("paris-1", "plant", "a", ...(layer === "l3" ? ["--announce", "192.168.10.0/24"] : []));
      const c = await lab.request("tokyo-1", "plant", "c");
      const wide = await mtuIn("a");
      assert.equal(wide, a.mtu);
      const host = await hostBehind("a", bare(a.addresses[0] ?? ""));
      const asked = () => askedOf("c", bare(c.addresses[0] ?? ""), host);
      assert.equal(await asked(), wide - 40, "TCP from behind the member is told of it");
      const d = await lab.request("lima-1", "plant", "d");
      await until("all have the narrow way's", 10_000, async () => {
        const [here, there, narrow] = [await mtuIn("a"), await mtuIn("c"), await mtuIn("d")];
        return here < wide && here === there && there === narrow;
      });
      const narrow = await mtuIn("a");
      assert.equal(await asked(), narrow - 40);
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
