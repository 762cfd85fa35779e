import assert from "node:assert/strict";
import type { GroupMember, Kernel, KernelObject, Netns, Policy, PolicyRule, SegmentLayer } from "../../kernel/model.js";
import { Running, run } from "../lib/command.js";
import { listenerArgs, type Probe, proberArgs, type Reached } from "../lib/probe.js";
import { settle } from "../suite/kernel.js";
import { arp, ethernet, everyone, experimental, isType, udp4, Wire } from "./frames.js";
import { ip } from "./kernelWorld.js";
import * as routed from "./routedWorld.js";
import { joinMeshes, SegmentNode } from "./segmentWorld.js";
import * as switched from "./switchedWorld.js";

const [a, b, c] = ["a", "b", "c"] as const;
type Member = typeof a | typeof b | typeof c;
const places = { a: { name: a, own: 0, host: 2 }, b: { name: b, own: 0, host: 3 }, c: { name: c, own: 1, host: 4 } } as const;
const listening = [502, 503, 161, 162];
const [hmi, plc] = ["g00000000000a", "g00000000000b"] as const;
const ports: PolicyRule["ports"] = [
  { protocol: "tcp", port: 502 },
  { protocol: "udp", port: 161 },
  // Nobody listens on these: what is begun from them looks like an answer.
  { protocol: "tcp", port: 600 },
  { protocol: "udp", port: 600 },
];

/** Of `a`, which is an hmi, and `b` and `c`, of which each is a plc, on two nodes. */
class World implements AsyncDisposable {
  readonly layer: SegmentLayer;
  readonly nodes: readonly [SegmentNode, SegmentNode];
  readonly #kernels: Kernel[] = [];
  readonly #base: [KernelObject[], KernelObject[]];
  readonly #pods: Readonly<Record<Member, Netns>>;
  readonly #listeners: Running[];

  constructor(layer: SegmentLayer) {
    this.layer = layer;
    this.nodes = [new SegmentNode(`ka-${layer}p1-`, layer), new SegmentNode(`ka-${layer}p2-`, layer)];
    const podOf = (member: Member) => this.nodes[places[member].own].node.pod(member);
    this.#pods = { a: podOf(a), b: podOf(b), c: podOf(c) };
    const there = (own: 0 | 1) => (layer === "l3" ? routed.node(own, [1 - own]) : switched.node(own));
    const joined = (member: Member) =>
      layer === "l3" ? routed.joined(places[member], this.#pods[member]) : switched.joined(member, this.#pods[member]);
    this.#base = [
      [...there(0), ...joined(a), ...joined(b)],
      [...there(1), ...joined(c)],
    ];
    this.#listeners = Object.values(this.#pods).map(
      (pod) => new Running("nsenter", inPod(pod, process.execPath, ...listenerArgs(listening))),
    );
  }

  async open(): Promise<void> {
    await Promise.all(this.#listeners.map((listener) => listener.printed(/listening/)));
    await joinMeshes(...this.nodes);
    for (const each of this.nodes) this.#kernels.push(await each.open());
    await this.holds(undefined);
  }

  /** The policy that holds from now on, on both nodes. */
  async holds(rules: readonly PolicyRule[] | undefined, behind: Policy["behind"] = {}, more: readonly KernelObject[] = []): Promise<void> {
    const groups = new Set(rules?.flatMap(({ from, to }) => [from, to]));
    const policy: KernelObject[] = rules === undefined ? [] : [{ kind: "policy", layer: this.layer, rules, behind }];
    const wanted = [...policy, ...this.#groupMembers().filter(({ group }) => groups.has(group))];
    for (const own of [0, 1] as const)
      await settle(this.#kernels[own] as Kernel, [...this.#base[own], ...wanted, ...(own === 0 ? more : [])]);
  }

  addresses(member: Member): readonly string[] {
    return this.layer === "l3" ? routed.addressesOf(places[member]) : switched.addressesOf(member);
  }

  pod(member: Member): Netns {
    return this.#pods[member];
  }

  async tries(from: Member, probes: readonly Probe[]): Promise<Reached[]> {
    const { code, stdout, stderr } = await run("nsenter", inPod(this.#pods[from], process.execPath, ...proberArgs(probes)));
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout) as Reached[];
  }

  async pings(from: Member, to: Member, size = 56): Promise<boolean[]> {
    const ping = async (address: string) =>
      (await run("nsenter", inPod(this.#pods[from], "ping", "-n", "-c", "1", "-W", "1", "-s", String(size), address))).code === 0;
    return Promise.all(this.addresses(to).map(ping));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const listener of this.#listeners) await listener[Symbol.asyncDispose]();
    for (const each of this.nodes) await each[Symbol.asyncDispose]();
  }

  #groupMembers(): GroupMember[] {
    const own = (member: Member) => (this.layer === "l3" ? this.addresses(member) : [switched.macOf(member)]);
    const those: [Member, string][] = [
      [a, hmi],
      [b, plc],
      [c, plc],
    ];
    return those.flatMap(([member, group]) => own(member).map((address): GroupMember => ({ kind: "group-member", group, address })));
  }
}

function inPod(pod: Netns, ...command: string[]): string[] {
  return [`--net=${pod.path}`, "--", ...command];
}

for (const layer of ["l3", "l2"] as const)
  describe(`a policy between members over two nodes, ${layer}`, () => {
    let world: World;
    before(async () => {
      world = new World(layer);
      await world.open();
    });
    after(async () => {
      await world[Symbol.asyncDispose]();
    });

    /** Whether each of these is reached at all addresses of a member. */
    const reaches = async (from: Member, to: Member, ...words: string[]): Promise<Record<string, string>> => {
      const probes = words.flatMap((word) => world.addresses(to).map((host): Probe => ({ ...parsed(word), host })));
      const found = await world.tries(from, probes);
      const of = (at: number) => [...new Set(found.slice(2 * at, 2 * at + 2))].join(" or ");
      return Object.fromEntries(words.map((word, at) => [word, of(at)]));
    };

    it("does not exist at first", async () => {
      assert.deepEqual(await reaches(c, a, "503/tcp", "162/udp", "162/udp 3000"), {
        "503/tcp": "yes",
        "162/udp": "yes",
        "162/udp 3000": "yes",
      });
    });

    it("takes the place of a table of another make, and lets pass what a rule allows, with its answers, and nothing else", async () => {
      for (const { netns } of world.nodes) {
        const table = `${layer === "l3" ? "inet" : "bridge"} isthmus-policy`;
        const set = `add table ${table}; add set ${table} flows4 { type ipv4_addr; }; add chain ${table} forward`;
        assert.equal((await run("nsenter", [`--net=${netns.path}`, "nft", set])).code, 0);
      }
      await world.holds([{ from: hmi, to: plc, ports }]);
      const yes = { "502/tcp": "yes", "161/udp": "yes", "161/udp 3000": "yes" };
      const no = { "503/tcp": "no", "162/udp": "no", "162/udp 3000": "no" };
      const never = { "502/tcp": "no", "161/udp": "no", "503/tcp from 600": "no", "162/udp from 600": "no" };
      const right = async (from: Member, to: Member, wanted: Record<string, string>) =>
        assert.deepEqual(await reaches(from, to, ...Object.keys(wanted)), wanted, `${from} to ${to}`);
      await Promise.all([
        ...[b, c].map((to) => right(a, to, { ...yes, ...no })),
        ...[b, c].map((from) => right(from, a, never)),
        right(c, b, never),
        ...[b, c].map(async (to) => assert.deepEqual(await world.pings(a, to), [false, false])),
      ]);
    });

    it("without ports lets one side begin everything, and the other answer", async () => {
      await world.holds([{ from: hmi, to: plc }]);
      assert.deepEqual(await reaches(a, c, "503/tcp", "162/udp 3000", "999/tcp", "999/udp"), {
        ...{ "503/tcp": "yes", "162/udp 3000": "yes", "999/tcp": "refused", "999/udp": "refused" },
      });
      assert.deepEqual(
        [await world.pings(a, c, 3_000), await world.pings(c, a)],
        [
          [true, true],
          [false, false],
        ],
      );
      assert.deepEqual(await reaches(c, a, "503/tcp", "162/udp"), { "503/tcp": "no", "162/udp": "no" });
    });

    it("takes a rule without labels for everybody", async () => {
      await world.holds([{ to: plc, ports }]);
      assert.deepEqual(await reaches(b, c, "502/tcp", "161/udp", "503/tcp"), { "502/tcp": "yes", "161/udp": "yes", "503/tcp": "no" });
      await world.holds([{ from: plc }]);
      assert.deepEqual(await reaches(c, a, "503/tcp"), { "503/tcp": "yes" });
      assert.deepEqual(await reaches(a, c, "503/tcp"), { "503/tcp": "no" });
      await world.holds([{}]);
      assert.deepEqual(await reaches(a, c, "503/tcp", "162/udp"), { "503/tcp": "yes", "162/udp": "yes" });
    });

    if (layer === "l3")
      it("takes what lies behind a member for that member, and leaves the way to the namespace itself open", async () => {
        const host = "192.168.10.1";
        ip(world.pod(b), "address", "add", `${host}/32`, "dev", "lo");
        ip(world.pod(c), "route", "replace", "192.168.10.0/24", "via", "169.254.1.1", "dev", "nsm0", "onlink");
        const route: KernelObject = { kind: "route", where: "mesh", device: "p-b", prefix: "192.168.10.0/24", via: "10.60.0.3" };
        const tried: Probe[] = [502, 503].map((port) => ({ protocol: "tcp", host, port }));
        await world.holds([{ from: hmi, to: plc, ports }], {}, [route]);
        assert.deepEqual(await world.tries(a, tried), ["no", "no"]);
        await world.holds([{ from: hmi, to: plc, ports }], { [plc]: ["192.168.10.0-192.168.10.0", "192.168.10.1-192.168.10.9"] }, [route]);
        assert.deepEqual(await world.tries(a, tried), ["yes", "no"]);
        assert.equal((await run("nsenter", inPod(world.pod(a), "ping", "-n", "-c", "1", "-W", "1", "169.254.1.1"))).code, 0);
      });
    else
      it("lets frames for all, and of other protocols, only from whom a rule for everybody lets send them", async () => {
        using wires = new DisposableWires(world);
        const to =
          (everybody: boolean, from: Member) =>
          (type: number, ...payload: Buffer[]) =>
            ethernet(everybody ? everyone : switched.macOf(from === a ? c : a), switched.macOf(from), type, ...payload);
        const packet = (from: Member) => udp4(switched.addressesOf(from)[0], "255.255.255.255", Buffer.alloc(1));
        await world.holds([{ from: hmi, to: plc, ports }]);
        assert.deepEqual(
          await wires.whoHears(a, to(true, a)(experimental), to(false, a)(experimental), to(true, a)(0x0800, packet(a))),
          [],
        );
        await world.holds([{ from: hmi, to: plc }]);
        assert.deepEqual(await wires.whoHears(a, to(false, a)(experimental)), [c]);
        assert.deepEqual(await wires.whoHears(a, to(true, a)(experimental)), []);
        await world.holds([{ from: hmi, ports: [{ protocol: "udp", port: 9 }] }]);
        assert.deepEqual(await wires.whoHears(a, to(true, a)(0x0800, packet(a))), [b, c]);
        assert.deepEqual(await wires.whoHears(a, to(true, a)(experimental)), []);
        assert.deepEqual(await wires.whoHears(c, to(true, c)(0x0800, packet(c))), []);
        await world.holds([{ from: hmi }]);
        assert.deepEqual(await wires.whoHears(a, to(true, a)(experimental)), [b, c]);
      });

    it("is over when it is taken away", async () => {
      await world.holds(undefined);
      assert.deepEqual(await reaches(c, a, "503/tcp", "162/udp"), { "503/tcp": "yes", "162/udp": "yes" });
      for (const { netns } of world.nodes)
        assert.doesNotMatch((await run("nsenter", [`--net=${netns.path}`, "nft", "list", "tables"])).stdout, /policy/);
    });
  });

/** `502/tcp from 161`, `161/udp 3000`: the port, that of the sender, and bytes. */
function parsed(word: string): Omit<Probe, "host"> {
  const [, port, protocol, from, size] = /^(\d+)\/(tcp|udp)(?: from (\d+))?(?: (\d+))?$/.exec(word) ?? [];
  return {
    ...{ protocol: protocol as Probe["protocol"], port: Number(port) },
    ...(from === undefined ? {} : { from: Number(from) }),
    ...(size === undefined ? {} : { size: Number(size) }),
  };
}

class DisposableWires implements Disposable {
  readonly #wires: ReadonlyMap<Member, Wire>;
  #marks = 0;

  constructor(world: World) {
    this.#wires = new Map([a, b, c].map((member) => [member, new Wire(world.pod(member), "nsm0")]));
  }

  /** Who hears one of these frames before an ARP request that comes behind them to all. */
  async whoHears(from: Member, ...frames: readonly Buffer[]): Promise<Member[]> {
    const marked = (text: string) => Buffer.from(`${text} ${++this.#marks}.`);
    const [mark, end] = [marked("policy"), marked("end")];
    const sender = { mac: switched.macOf(from), ip: switched.addressesOf(from)[0] };
    // Nobody has that address, so the question goes to all.
    const last = ethernet(everyone, sender.mac, 0x0806, arp("request", sender, "10.70.0.99"), end);
    this.#wires.get(from)?.send(...frames.map((frame) => Buffer.concat([frame, mark])), last);
    const others = [...this.#wires].filter(([member]) => member !== from);
    for (const [, wire] of others) await wire.hears("an ARP request behind it", (frame) => isType(frame, 0x0806) && frame.includes(end));
    return others.flatMap(([member, wire]) => (wire.heard().some((frame) => frame.includes(mark)) ? [member] : []));
  }

  [Symbol.dispose](): void {
    for (const wire of this.#wires.values()) wire[Symbol.dispose]();
  }
}
