import { deepEqual, equal, ok } from "node:assert/strict";
import { close } from "../../kernel/ffi/file.js";
import { AF_INET, AF_INET6, bind, SOCK_DGRAM, sendTo, socket } from "../../kernel/ffi/socket.js";
import { openMesh } from "../../kernel/mesh.js";
import type { VxlanSource } from "../../kernel/model.js";
import { ipBytes } from "../../kernel/netlink/ip.js";
import { createNetns, removeNetns, within } from "../../kernel/netns.js";
import { type CountingVxlanFilter, openVxlanFilter } from "../../kernel/nft.js";
import { vxlanPayload } from "../lib/forge.js";
import { inside } from "../lib/tunnel.js";
import { until } from "../lib/until.js";

const mesh = "/run/netns/kb-nft-mesh";
const sender = "/run/netns/kb-nft-sender";
const peers = { ipv4: ["10.88.0.2", "10.88.0.3"], ipv6: ["fd88::2", "fd88::3"] } as const;
const own = { ipv4: "10.88.0.1", ipv6: "fd88::1" } as const;

/** `struct sockaddr_in` or `sockaddr_in6`. */
function address(text: string, port: number): Buffer {
  const ip = ipBytes(text);
  const bytes = Buffer.alloc(ip.length === 4 ? 16 : 28);
  bytes.writeUInt16LE(ip.length === 4 ? AF_INET : AF_INET6, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(ip, ip.length === 4 ? 4 : 8);
  return bytes;
}

/** Sends a VXLAN packet by hand, as a peer that was taken over would. */
function forge(from: string, to: string, vni: number, padding = 0): void {
  within(sender, () => {
    const fd = socket(from.includes(":") ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
    bind(fd, address(from, 0));
    sendTo(fd, Buffer.concat([vxlanPayload(vni), Buffer.alloc(padding)]), address(to, 4789));
    close(fd);
  });
}

/** Frames that the VXLAN devices of the mesh namespace let in, by VNI. */
async function arrived(): Promise<Record<string, number>> {
  const links = JSON.parse(await inside(mesh, "ip -j -s -d link show type vxlan")) as {
    ifname: string;
    stats64: { rx: { packets: number } };
  }[];
  return Object.fromEntries(links.map((link) => [link.ifname, link.stats64.rx.packets]));
}

describe("the VXLAN filter", () => {
  let filter: CountingVxlanFilter;

  function dropped(total: number): Promise<boolean> {
    return until(`${total} drops`, 1_000, () => filter.drops().unknown === total);
  }

  before(async () => {
    removeNetns("kb-nft-mesh");
    removeNetns("kb-nft-sender");
    openMesh("kb-nft-mesh");
    createNetns("kb-nft-sender");
    await inside(
      mesh,
      "ip link add u0 type veth peer name u1 netns kb-nft-sender; echo 0 > /proc/sys/net/ipv6/conf/u0/disable_ipv6; ip link set u0 up",
    );
    await inside(mesh, `ip addr add ${own.ipv4}/24 dev u0; ip addr add ${own.ipv6}/64 dev u0 nodad`);
    for (const vni of [77, 78])
      await inside(mesh, `ip link add vx${vni} type vxlan id ${vni} dstport 4789 nolearning; ip link set vx${vni} up`);
    // In IPv6 a device listens on sockets of its own.
    for (const vni of [77, 78])
      await inside(mesh, `ip link add vy${vni} type vxlan id ${vni} dstport 4789 nolearning local ${own.ipv6}; ip link set vy${vni} up`);
    await inside(sender, "ip link set u1 up");
    for (const peer of peers.ipv4) await inside(sender, `ip addr add ${peer}/24 dev u1`);
    for (const peer of peers.ipv6) await inside(sender, `ip addr add ${peer}/64 dev u1 nodad`);
    for (const address of Object.values(own)) await inside(sender, `ping -c 1 -W 2 ${address}`); // who is where
    filter = openVxlanFilter(mesh, { from: "any" });
  });
  after(() => {
    filter[Symbol.dispose]();
    removeNetns("kb-nft-mesh");
    removeNetns("kb-nft-sender");
  });

  for (const family of ["ipv4", "ipv6"] as const) {
    const device = family === "ipv4" ? "vx77" : "vy77";
    const other = family === "ipv4" ? "vx78" : "vy78";
    const [friend, stranger] = peers[family];
    const wanted: VxlanSource = { kind: "vxlan-source", source: friend, vni: 77 };

    describe(`over ${family}`, () => {
      it("drops and counts everything while it is empty", async () => {
        const before = filter.drops().unknown;
        forge(friend, own[family], 77);
        await dropped(before + 1);
        equal((await arrived())[device], 0);
      });

      it("lets in the pair that was added, and only that", async () => {
        filter.add(wanted);
        const before = filter.drops().unknown;
        forge(friend, own[family], 77);
        forge(friend, own[family], 78);
        forge(stranger, own[family], 77);
        await dropped(before + 2);
        await until("the frame is there", 1_000, async () => (await arrived())[device] === 1);
        equal((await arrived())[other], 0);
      });

      it("lists what is in it, after a restart too", () => {
        filter.add(wanted);
        using again = openVxlanFilter(mesh, { from: "any" });
        deepEqual(again.list(), [wanted]);
        deepEqual([again.has(wanted), again.has({ ...wanted, vni: 78 }), again.has({ ...wanted, source: stranger })], [true, false, false]);
      });

      it("drops the pair that was removed, and minds no second removal", async () => {
        filter.remove(wanted);
        filter.remove(wanted);
        const [before, drops] = [(await arrived())[device], filter.drops().unknown];
        forge(friend, own[family], 77);
        await dropped(drops + 1);
        equal((await arrived())[device], before);
        deepEqual(filter.list(), []);
      });
    });
  }

  it("drops IPv6 fragments, which would carry the VNI past it", async () => {
    filter.add({ kind: "vxlan-source", source: "fd88::2", vni: 77 });
    const before = await arrived();
    forge("fd88::2", own.ipv6, 77, 4_000);
    await until("the fragments are dropped", 1_000, () => filter.drops().fragments >= 3);
    deepEqual(await arrived(), before);
    filter.remove({ kind: "vxlan-source", source: "fd88::2", vni: 77 });
  });

  it("lets nothing in from a device with a link layer, unless told", async () => {
    const wanted: VxlanSource = { kind: "vxlan-source", source: "fd88::2", vni: 77 };
    filter.add(wanted);
    using strict = openVxlanFilter(mesh);
    const before = await arrived();
    forge("fd88::2", own.ipv6, 77);
    await until("it is dropped", 1_000, () => strict.drops().outside === 1);
    deepEqual(await arrived(), before);
    openVxlanFilter(mesh, { from: "any" })[Symbol.dispose]();
    filter.remove(wanted);
  });

  it("adds and removes at the same cost among thousands", () => {
    const sources = Array.from({ length: 3_000 }, (_, n): VxlanSource => ({ kind: "vxlan-source", source: `fd99::${n % 7}`, vni: n }));
    /** The median of a hundred, so that nothing else on the machine counts. */
    const each = (act: (source: VxlanSource) => void) => {
      const times = sources.slice(0, 100).map((source) => {
        const start = performance.now();
        act(source);
        return performance.now() - start;
      });
      return times.sort((one, other) => one - other)[50] ?? 0;
    };
    const [add, remove] = [(source: VxlanSource) => filter.add(source), (source: VxlanSource) => filter.remove(source)];
    const few = [each(add), each(remove)] as const;
    for (const source of sources.slice(100)) filter.add(source);
    const many = [each(add), each(remove)] as const;
    const count = filter.list().length;
    for (const source of sources.slice(100)) filter.remove(source);
    equal(count, 2_900);
    deepEqual(filter.list(), []);
    for (const at of [0, 1] as const) ok(many[at] < 3 * few[at], `${many[at]} ms among thousands, ${few[at]} ms among few`);
  });

  it("refuses what is no address and no VNI", () => {
    for (const bad of [
      { source: "pod", vni: 1 },
      { source: "10.0.0.1", vni: 2 ** 24 },
      { source: "10.0.0.1", vni: -1 },
    ]) {
      try {
        filter.add({ kind: "vxlan-source", ...bad });
        ok(false, "it was accepted");
      } catch (error) {
        ok(error instanceof Error && error.message.includes(String(bad.source === "pod" ? "pod" : bad.vni)));
      }
    }
  });

  describe("when somebody meddles with its rules", () => {
    const nft = (command: string) => inside(mesh, `nft '${command}'`);
    const meddlings: readonly (readonly [what: string, commands: readonly string[], left: number])[] = [
      ["deletes the table", ["delete table inet isthmus"], 0],
      ["deletes the chain", ["flush chain inet isthmus input", "delete chain inet isthmus input"], 1],
      ["flushes the chain", ["flush chain inet isthmus input"], 1],
      ["puts a rule in front", ["insert rule inet isthmus input accept"], 1],
      [
        "hangs the chain elsewhere",
        [
          "flush chain inet isthmus input",
          "delete chain inet isthmus input",
          "add chain inet isthmus input { type filter hook output priority 0; }",
        ],
        0,
      ],
    ];
    for (const [what, commands, left] of meddlings) {
      it(`mends them when he ${what}`, async () => {
        const wanted: VxlanSource = { kind: "vxlan-source", source: "10.88.0.2", vni: 77 };
        filter.add(wanted);
        for (const command of commands) await nft(command);
        filter.mend();
        equal(filter.list().length, left, "entries that are left");
        const before = filter.drops().unknown;
        forge("10.88.0.3", own.ipv4, 77);
        await dropped(before + 1);
        filter.add(wanted);
        const { vx77 = 0 } = await arrived();
        forge("10.88.0.2", own.ipv4, 77);
        await until("the friend's frame is there", 1_000, async () => (await arrived()).vx77 === vx77 + 1);
        filter.remove(wanted);
      });
    }

    it("leaves them alone while nobody changes them", async () => {
      const listing = await inside(mesh, "nft -a list chain inet isthmus input");
      filter.mend();
      equal(await inside(mesh, "nft -a list chain inet isthmus input"), listing);
    });
  });
});
