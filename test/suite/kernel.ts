import assert from "node:assert/strict";
import type { MeshError } from "../../core/error.js";
import { difference, keyOf } from "../../kernel/difference.js";
import type {
  Kernel,
  KernelEvent,
  KernelObject,
  Netns,
  Port,
  Redirect,
  Route,
  Rule,
  Step,
  Vxlan,
  VxlanRemote,
} from "../../kernel/model.js";
import type { Ports, RuleValue } from "../../kernel/netlink/rule.js";
import { policyTable } from "../../kernel/policyTable.js";

/** A machine to test a kernel on, and what pods and strangers do to it. */
export interface KernelWorld extends AsyncDisposable {
  /** Opens the kernel; the second time it is the same machine after a restart of the process. */
  open(): Promise<Kernel>;
  pod(name: string): Netns;
  removePod(pod: Netns): void;
  /** The number of a device in the mesh namespace. */
  index(device: string): number | undefined;
  /** What a pod with all rights does to its own end of a port. */
  readonly meddle: {
    down(pod: Netns, device: string): void;
    rename(pod: Netns, device: string, name: string): void;
    setMac(pod: Netns, device: string, mac: string): void;
    setMtu(pod: Netns, device: string, mtu: number): void;
    moveAway(pod: Netns, device: string): void;
    remove(pod: Netns, device: string): void;
    removeAddress(pod: Netns, device: string, address: string): void;
    addAddress(pod: Netns, device: string, address: string): void;
    removeRoute(pod: Netns, device: string, prefix: string): void;
    removeRule(pod: Netns, device: string, table: number): void;
  };
}

/** The contract of every kernel: run by each implementation. */
export function kernelSuite(name: string, create: () => Promise<KernelWorld>): void {
  describe(`the kernel contract: ${name}`, () => {
    let world: KernelWorld;
    let kernel: Kernel;
    beforeEach(async () => {
      world = await create();
      kernel = await world.open();
    });
    afterEach(async () => {
      await kernel[Symbol.asyncDispose]();
      await world[Symbol.asyncDispose]();
    });

    describe("making and reading", () => making(() => ({ world, kernel })));
    describe("changing in place", () => changing(() => ({ world, kernel })));
    describe("policies and settings of a pod", () => policies(() => ({ world, kernel })));
    describe("pods that meddle", () => meddling(() => ({ world, kernel })));
    describe("refusals", () => refusals(() => ({ world, kernel })));
    describe("events", () => events(() => ({ world, kernel })));

    it("sees after a restart exactly what was made before", async () => {
      const wanted = connection(world.pod("a"), world.pod("b"));
      await make(kernel, wanted);
      await kernel[Symbol.asyncDispose]();
      kernel = await world.open();
      assert.deepEqual(differences(wanted, await kernel.list(wanted)), []);
    });
  });
}

type Test = () => { readonly world: KernelWorld; readonly kernel: Kernel };

function making(test: Test): void {
  it("has nothing at first", async () => {
    assert.deepEqual(await test().kernel.list([]), []);
  });

  it("lists all that was made, and nothing else", async () => {
    const { world, kernel } = test();
    const wanted = connection(world.pod("a"), world.pod("b"));
    await make(kernel, wanted);
    assert.deepEqual(differences(wanted, await kernel.list(wanted)), []);
  });

  it("finds what hangs on the named devices, and nothing else", async () => {
    const { world, kernel } = test();
    const a = world.pod("a");
    const wanted = connection(a, world.pod("b"));
    await make(kernel, wanted);
    const ofA = wanted.filter((object) => ("where" in object && object.where === a) || isOf(object, "p-a"));
    assert.deepEqual(differences(ofA, await kernel.find(["p-a"], ofA)), []);
    const ofX = wanted.filter((object) => isOf(object, "x-1"));
    assert.deepEqual(differences(ofX, await kernel.find(["x-1", "nothing"], ofX)), []);
  });

  it("does the same steps again without harm", async () => {
    const { world, kernel } = test();
    const wanted = connection(world.pod("a"), world.pod("b"));
    await make(kernel, wanted);
    const indexes = ["p-a", "p-b", "x-1"].map((device) => world.index(device));
    await make(kernel, wanted);
    assert.deepEqual(
      ["p-a", "p-b", "x-1"].map((device) => world.index(device)),
      indexes,
    );
    assert.deepEqual(differences(wanted, await kernel.list(wanted)), []);
  });

  it("leaves nothing when all is deleted, in any order and twice", async () => {
    const { world, kernel } = test();
    const wanted = connection(world.pod("a"), world.pod("b"));
    await make(kernel, wanted);
    const deletes = wanted.map((old): Step => ({ op: "delete", key: keyOf(old), old }));
    assert.deepEqual(await kernel.apply(deletes), []);
    assert.deepEqual(await kernel.list(wanted), []);
    assert.deepEqual(await kernel.apply(deletes.reverse()), []);
  });

  it("shows a port that nobody wants by its name, and does not look into its pod", async () => {
    const { world, kernel } = test();
    const wanted = connection(world.pod("a"), world.pod("b"));
    await make(kernel, wanted);
    const found = await kernel.list(wanted.filter((object) => object.kind !== "port" || object.name !== "p-a"));
    const stray = found.find((object) => object.kind === "port" && object.name === "p-a") as Port;
    assert.equal(stray.alias, "isthmus:c1:client");
    assert.deepEqual(
      found.filter((object) => "where" in object && object.where !== "mesh" && object.where.path.endsWith("a")),
      [],
    );
    assert.deepEqual(await kernel.apply([{ op: "delete", key: keyOf(stray), old: stray }]), []);
    assert.equal(world.index("p-a"), undefined);
  });

  it("shows at a glance all devices of ours and all entries of the filter", async () => {
    const { world, kernel } = test();
    await make(kernel, connection(world.pod("a"), world.pod("b")));
    const { devices, sources } = await kernel.overview();
    assert.deepEqual([...devices].sort(), ["p-a", "p-b", "x-1"]);
    assert.deepEqual(sources, [{ kind: "vxlan-source", source: "fd00:1::2", vni: 77 }]);
  });

  it("counts by device and leaves out what is not there", async () => {
    const { world, kernel } = test();
    await make(kernel, [port("p-a", world.pod("a"))]);
    const counters = await kernel.counters(["p-a", "nothing"]);
    assert.deepEqual([...counters.keys()], ["p-a"]);
    const many = await kernel.counters(["p-a", ...Array.from({ length: 1_000 }, (_, at) => `none-${at}`)]);
    assert.deepEqual([...many.keys()], ["p-a"]);
    assert.deepEqual(Object.keys(counters.get("p-a") ?? {}).sort(), ["drops", "rxBytes", "rxPackets", "txBytes", "txPackets"]);
  });

  it("counts a device that was made anew, and not one that is gone", async () => {
    const { world, kernel } = test();
    const device = port("p-a", world.pod("a"));
    const counted = async () => [...(await kernel.counters(["p-a"])).keys()];
    const remove = async () => assert.deepEqual(await kernel.apply([{ op: "delete", key: keyOf(device), old: device }]), []);
    await make(kernel, [device]);
    assert.deepEqual(await counted(), ["p-a"]);
    await remove();
    await make(kernel, [device]);
    assert.deepEqual(await counted(), ["p-a"]);
    await remove();
    assert.deepEqual(await counted(), []);
  });
}

function changing(test: Test): void {
  it("changes MTU, MAC, name and alias of a port and keeps its index", async () => {
    const { world, kernel } = test();
    const old = port("p-a", world.pod("a"));
    await make(kernel, [old]);
    const index = world.index("p-a");
    const value: Port = { ...old, mtu: 1380, podMac: "02:00:00:00:00:77", podInterface: "nsm9", alias: "isthmus:c2:client" };
    await replace(kernel, old, value);
    assert.deepEqual(differences([value], await kernel.list([value])), []);
    assert.equal(world.index("p-a"), index);
  });

  it("changes a VXLAN device's MTU and remote in place", async () => {
    const { world, kernel } = test();
    const [old, remote] = [vxlan("x-1", 77), remoteOf("x-1")];
    await make(kernel, [old, remote]);
    const index = world.index("x-1");
    const [value, moved] = [
      { ...old, mtu: 1300 },
      { ...remote, address: "fd00:1::3", vni: 99 },
    ];
    await replace(kernel, old, value);
    await replace(kernel, remote, moved);
    assert.deepEqual(differences([value, moved], await kernel.list([value, moved])), []);
    assert.equal(world.index("x-1"), index);
  });

  it("makes a VXLAN device anew where its VNI changes, under the same index", async () => {
    const { world, kernel } = test();
    const old = vxlan("x-1", 77);
    await make(kernel, [old]);
    const index = world.index("x-1");
    const value = { ...old, vni: 78 };
    await replace(kernel, old, value);
    assert.deepEqual(differences([value], await kernel.list([value])), []);
    assert.equal(world.index("x-1"), index);
  });

  it("points a redirect elsewhere, and shows one whose target is gone as different", async () => {
    const { world, kernel } = test();
    const redirect: Redirect = { kind: "redirect", from: "p-a", to: "p-b", by: "peer" };
    const ports = [port("p-a", world.pod("a")), port("p-b", world.pod("b")), vxlan("x-1", 77)];
    await make(kernel, [...ports, redirect]);
    const elsewhere: Redirect = { kind: "redirect", from: "p-a", to: "x-1", by: "device" };
    await replace(kernel, redirect, elsewhere);
    assert.deepEqual(differences([...ports, elsewhere], await kernel.list(ports)), []);
    await kernel.apply([{ op: "delete", key: "", old: vxlan("x-1", 77) }]);
    const [left] = (await kernel.find(["p-a"], [])).filter((object) => object.kind === "redirect");
    assert.equal(left === undefined ? "" : difference(elsewhere, left), "to is , wanted x-1");
  });

  it("changes a route and a neighbour", async () => {
    const { world, kernel } = test();
    const wanted = connection(world.pod("a"), world.pod("b"));
    await make(kernel, wanted);
    const changed = wanted.map((object): KernelObject => {
      if (object.kind === "route" && object.via === undefined && object.prefix.startsWith("172")) return { ...object, mtu: 1300 };
      return object.kind === "neighbour" ? { ...object, mac: "02:00:00:00:00:55" } : object;
    });
    await settle(kernel, changed);
    assert.deepEqual(differences(changed, await kernel.list(changed)), []);
  });
}

function policies(test: Test): void {
  const tables = [0, 1].map((n) => policyTable("p-a", n));
  const rules = (pod: Netns): Rule[] => tables.map((table, n) => rule(pod, { family: 4, table, priority: 32765 - n, protocol: 6 + n }));

  it("changes a rule in place of the old one", async () => {
    const { world, kernel } = test();
    const pod = world.pod("a");
    const [old, other] = rules(pod) as [Rule, Rule];
    await make(kernel, [port("p-a", pod), old, other]);
    const value: Rule = { ...old, from: "10.1.0.0/16", destinationPorts: ports(1, 1) };
    await replace(kernel, old, value);
    const wanted = [port("p-a", pod), value, other];
    assert.deepEqual(differences(wanted, await kernel.list(wanted)), []);
  });

  it("shows a rule that is not wanted any more while another one of the port is, and never one of another port", async () => {
    const { world, kernel } = test();
    const pod = world.pod("a");
    const [first, second] = rules(pod) as [Rule, Rule];
    const another = { ...port("p-b", pod), podInterface: "nsm1" };
    const foreign: Rule = { ...rule(pod, { family: 4, table: policyTable("p-b", 0), priority: 32765 }), device: "nsm1" };
    await make(kernel, [port("p-a", pod), another, first, second, foreign]);
    assert.deepEqual(differences([port("p-a", pod), first], await kernel.find(["p-a"], [port("p-a", pod), first])), [
      `unwanted: ${keyOf(second)}`,
    ]);
    assert.deepEqual(differences([another, foreign], await kernel.find(["p-b"], [another, foreign])), []);
  });

  it("takes rules away also when the port, or the whole pod, went before them", async () => {
    const { world, kernel } = test();
    const [a, b] = [world.pod("a"), world.pod("b")];
    const [ofA] = rules(a) as [Rule];
    const ofB: Rule = rule(b, { family: 4, table: policyTable("p-b", 0), priority: 32765 });
    await make(kernel, [port("p-a", a), port("p-b", b), ofA, ofB]);
    world.removePod(b);
    await gone(kernel, "p-b", () => world.index("p-b") === undefined);
    const deletes = [port("p-a", a), ofA, ofB].map((old): Step => ({ op: "delete", key: keyOf(old), old }));
    assert.deepEqual(await kernel.apply(deletes), []);
    await make(kernel, [port("p-a", a)]);
    const wanted = [port("p-a", a), ofA];
    assert.deepEqual(differences(wanted, await kernel.list(wanted)), [`missing: ${keyOf(ofA)}`]);
  });

  it("lets a pod's end take packets of 127.0.0.0/8, and leaves alone what is not said", async () => {
    const { world, kernel } = test();
    const pod = world.pod("a");
    const plain = port("p-a", pod);
    const open: Port = { ...plain, routeLocalnet: true };
    await make(kernel, [plain]);
    assert.deepEqual(differences([open], await kernel.list([open])), ["port p-a: routeLocalnet is false, wanted true"]);
    await replace(kernel, plain, open);
    assert.deepEqual(differences([open], await kernel.list([open])), []);
    assert.deepEqual(differences([plain], await kernel.list([plain])), []);
  });
}

function meddling(test: Test): void {
  const cases: [name: string, seen: RegExp, meddle: (world: KernelWorld, pod: Netns) => void][] = [
    ["sets its end down", /the pod's end is down/, (world, pod) => world.meddle.down(pod, "nsm0")],
    ["renames its end", /podInterface is mine, wanted nsm0/, (world, pod) => world.meddle.rename(pod, "nsm0", "mine")],
    ["changes its MAC", /podMac is 02:00:00:00:00:99/, (world, pod) => world.meddle.setMac(pod, "nsm0", "02:00:00:00:00:99")],
    ["changes its MTU", /mtu is 1280, wanted 1400/, (world, pod) => world.meddle.setMtu(pod, "nsm0", 1280)],
    ["moves its end away", /its end is not in the pod's namespace/, (world, pod) => world.meddle.moveAway(pod, "nsm0")],
    ["deletes its end", /missing: port p-a/, (world, pod) => world.meddle.remove(pod, "nsm0")],
    ["removes its address", /missing: address .*172.16.1.1\/32/, (world, pod) => world.meddle.removeAddress(pod, "nsm0", "172.16.1.1/32")],
    ["adds an address", /unwanted: address .*10.9.9.9\/32/, (world, pod) => world.meddle.addAddress(pod, "nsm0", "10.9.9.9/32")],
    ["removes a route", /missing: route .*172.16.1.2\/32/, (world, pod) => world.meddle.removeRoute(pod, "nsm0", "172.16.1.2/32")],
    ["removes a rule", /missing: rule .*IPv4 table \d+/, (world, pod) => world.meddle.removeRule(pod, "nsm0", policyTable("p-a", 0))],
  ];
  for (const [name, seen, meddle] of cases) {
    it(`sees that a pod ${name}, and repairs it`, async () => {
      const { world, kernel } = test();
      const pod = world.pod("a");
      const wanted = connection(pod, world.pod("b"));
      await make(kernel, wanted);
      meddle(world, pod);
      assert.match(differences(wanted, await kernel.list(wanted)).join("\n"), seen);
      await settle(kernel, wanted);
      assert.deepEqual(differences(wanted, await kernel.list(wanted)), []);
    });
  }
}

function refusals(test: Test): void {
  it("says that an interface of the name is there already, and does the other steps", async () => {
    const { world, kernel } = test();
    const [a, b] = [world.pod("a"), world.pod("b")];
    await make(kernel, [port("p-a", a)]);
    const wanted: KernelObject[] = [port("p-z", a), port("p-b", b)];
    const failures = await kernel.apply(wanted.map(add));
    assert.deepEqual(
      failures.map(({ step, error }) => [step.key, (error as MeshError).code]),
      [["port p-z", "exists"]],
    );
    assert.match(failures[0]?.error.message ?? "", /has an interface nsm0 already/);
    assert.equal(world.index("p-z"), undefined);
    assert.notEqual(world.index("p-b"), undefined);
  });

  it("says netns-gone for a pod that is gone, and its port has vanished", async () => {
    const { world, kernel } = test();
    const pod = world.pod("a");
    const wanted = [port("p-a", pod), address(pod, "172.16.1.1/32")];
    await make(kernel, wanted);
    world.removePod(pod);
    await gone(kernel, "p-a", () => world.index("p-a") === undefined);
    const failures = await kernel.apply(wanted.map(add));
    assert.deepEqual(
      failures.map(({ error }) => (error as MeshError).code),
      ["netns-gone", "netns-gone"],
    );
    assert.deepEqual(await kernel.list(wanted), []);
    const deletes = wanted.map((old): Step => ({ op: "delete", key: keyOf(old), old }));
    assert.deepEqual(await kernel.apply(deletes), []);
  });

  it("refuses names that Linux does not take", async () => {
    const { world, kernel } = test();
    const bad = ["much-too-long-for-linux", "a/b", ""].map((podInterface) => ({
      ...port("p-a", world.pod(`x${podInterface.length}`)),
      podInterface,
    }));
    const failures = await kernel.apply(bad.map(add));
    assert.deepEqual(
      failures.map(({ error }) => (error as MeshError).code),
      ["invalid", "invalid", "invalid"],
    );
  });

  it("refuses a second VXLAN device with the same VNI and port", async () => {
    const { kernel } = test();
    const failures = await kernel.apply([vxlan("x-1", 77), vxlan("x-2", 77), { ...vxlan("x-3", 77), udpPort: 4790 }].map(add));
    assert.deepEqual(
      failures.map(({ step, error }) => [step.key, (error as MeshError).code]),
      [["vxlan x-2", "exists"]],
    );
  });

  it("says which device is not there", async () => {
    const { world, kernel } = test();
    const failures = await kernel.apply([address(world.pod("a"), "172.16.1.1/32"), remoteOf("x-9")].map(add));
    for (const { error } of failures) assert.equal((error as MeshError).code, "not-found");
    assert.match(failures.map(({ error }) => error.message).join("\n"), /no device nsm0 in .*a\n.*no device x-9 in the mesh namespace/s);
  });
}

function events(test: Test): void {
  it("tells that a pod's end went, and of changes on a pod's end", async () => {
    const { world, kernel } = test();
    const pod = world.pod("a");
    const wanted = [port("p-a", pod), address(pod, "172.16.1.1/32")];
    await make(kernel, wanted);
    await quiet(kernel);
    const changed = next(kernel, "p-a", "changed");
    world.meddle.removeAddress(pod, "nsm0", "172.16.1.1/32");
    await changed;
    const left = next(kernel, "p-a", "gone");
    world.meddle.remove(pod, "nsm0");
    await left;
  });

  it("ends when the signal does", async () => {
    const ended = new AbortController();
    const heard = (async () => {
      for await (const _ of test().kernel.events(ended.signal)) void 0;
      return "ended";
    })();
    ended.abort();
    assert.equal(await heard, "ended");
  });
}

/** What a connection between two pods of a node has, and a VXLAN device beside it. */
function connection(a: Netns, b: Netns): KernelObject[] {
  return [
    port("p-a", a, "isthmus:c1:client"),
    port("p-b", b, "isthmus:c1:server"),
    vxlan("x-1", 77),
    remoteOf("x-1"),
    address(a, "172.16.1.1/32"),
    address(a, "2001:db8::1/128"),
    address(b, "172.16.1.2/32"),
    { kind: "neighbour", where: a, device: "nsm0", address: "172.16.1.2", mac: "02:00:00:00:00:0b" },
    route(a, "172.16.1.2/32"),
    route(a, "2001:db8::2/128"),
    { ...route(a, "10.99.0.0/16"), via: "172.16.1.2", mtu: 1350 },
    { ...route(b, "172.16.1.1/32"), source: "172.16.1.2" },
    { ...route(a, "10.7.0.0/16"), table: policyTable("p-a", 0), via: "172.16.1.2" },
    { ...route(a, "10.7.0.0/16"), table: policyTable("p-a", 1) },
    { ...route(a, "2001:db8:7::/48"), table: policyTable("p-a", 1) },
    rule(a, {
      family: 4,
      table: policyTable("p-a", 0),
      priority: 32765,
      from: "172.16.1.0/24",
      protocol: 6,
      destinationPorts: ports(80, 89),
    }),
    rule(a, { family: 4, table: policyTable("p-a", 1), priority: 32764, sourcePorts: ports(53, 53), protocol: 17 }),
    rule(a, { family: 6, table: policyTable("p-a", 1), priority: 32764, from: "2001:db8::1/128" }),
    { kind: "redirect", from: "p-a", to: "p-b", by: "peer" },
    { kind: "redirect", from: "p-b", to: "p-a", by: "peer" },
    { kind: "redirect", from: "x-1", to: "p-b", by: "peer" },
    { kind: "vxlan-source", source: "fd00:1::2", vni: 77 },
  ];
}

export function port(name: string, pod: Netns, alias = `isthmus:${name}:client`): Port {
  return { kind: "port", name, alias, pod, podInterface: "nsm0", podMac: "02:00:00:00:00:0a", mtu: 1400 };
}

export function vxlan(name: string, vni: number): Vxlan {
  return { kind: "vxlan", name, alias: `isthmus:${name}:tunnel`, vni, udpPort: 4789, local: "fd00:1::1", madeIn: "mesh", mtu: 1400 };
}

export function remoteOf(device: string): VxlanRemote {
  return { kind: "vxlan-remote", device, address: "fd00:1::2", vni: 88 };
}

export function address(where: Netns, text: string): KernelObject {
  return { kind: "address", where, device: "nsm0", address: text };
}

export function route(where: Netns, prefix: string): Route {
  return { kind: "route", where, device: "nsm0", prefix };
}

function rule(where: Netns, value: RuleValue): Rule {
  return { kind: "rule", where, device: "nsm0", ...value };
}

function ports(first: number, last: number): Ports {
  return { first, last };
}

export function add(value: KernelObject): Step {
  return { op: "add", key: keyOf(value), value };
}

/** Makes all of it; a refusal fails the test. */
export async function make(kernel: Kernel, wanted: readonly KernelObject[]): Promise<void> {
  const failures = await kernel.apply(wanted.map(add));
  assert.deepEqual(
    failures.map(({ step, error }) => `${step.key}: ${error.message}`),
    [],
  );
}

/** Plans and applies until nothing differs: a repaired link may have lost what hung on it. */
export async function settle(kernel: Kernel, wanted: readonly KernelObject[]): Promise<void> {
  for (let pass = 0; pass < 3; pass++) {
    const steps = planned(wanted, await kernel.list(wanted));
    if (steps.length === 0) return;
    await kernel.apply(steps);
  }
}

/** Differences in words: what is missing, unwanted, or otherwise than wanted. */
export function differences(wanted: readonly KernelObject[], found: readonly KernelObject[]): string[] {
  return planned(wanted, found).map((step) => {
    if (step.op === "add") return `missing: ${step.key}`;
    return step.op === "delete" ? `unwanted: ${step.key}` : `${step.key}: ${difference(step.value, step.old)}`;
  });
}

function planned(wanted: readonly KernelObject[], found: readonly KernelObject[]): Step[] {
  const left = new Map(found.map((object) => [keyOf(object), object]));
  assert.equal(left.size, found.length, "no key comes twice");
  const steps = wanted.flatMap((value): Step[] => {
    const key = keyOf(value);
    const old = left.get(key);
    left.delete(key);
    if (old === undefined) return [{ op: "add", key, value }];
    return difference(value, old) === "" ? [] : [{ op: "replace", key, value, old }];
  });
  return [...steps, ...[...left].map(([key, old]): Step => ({ op: "delete", key, old }))];
}

export async function replace(kernel: Kernel, old: KernelObject, value: KernelObject): Promise<void> {
  assert.deepEqual(await kernel.apply([{ op: "replace", key: keyOf(value), value, old }]), []);
}

function isOf(object: KernelObject, device: string): boolean {
  if ("name" in object) return object.name === device;
  return object.kind === "redirect" ? object.from === device : "device" in object && object.device === device;
}

/** The next event of that kind about the device; subscribes at once. */
export async function next(kernel: Kernel, device: string, kind: KernelEvent["kind"]): Promise<void> {
  for await (const event of kernel.events(AbortSignal.timeout(5000))) {
    if (event.kind !== "resync" && event.kind === kind && event.device === device) return;
  }
  assert.fail(`no event ${kind} of ${device} within 5 s`);
}

/** Lets the events of what was just made go by. */
export async function quiet(kernel: Kernel): Promise<void> {
  for await (const _ of kernel.events(AbortSignal.timeout(50))) void 0;
}

/** Waits for the event unless it has happened already. */
async function gone(kernel: Kernel, device: string, already: () => boolean): Promise<void> {
  const event = next(kernel, device, "gone").catch((error: unknown) => {
    if (!already()) throw error;
  });
  if (!already()) await event;
  else event.catch(() => {});
}
