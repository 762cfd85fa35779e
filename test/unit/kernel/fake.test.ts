import assert from "node:assert/strict";
import { MeshError } from "../../../core/error.js";
import { FakeMachine } from "../../../kernel/fake/machine.js";
import { FakeKernel } from "../../../kernel/fake.js";
import type { Netns, Port } from "../../../kernel/model.js";
import { add, address, type KernelWorld, kernelSuite, make, port, remoteOf, route, vxlan } from "../../suite/kernel.js";
import { routedSegmentSuite } from "../../suite/kernelRouted.js";
import type { SegmentWorld } from "../../suite/kernelSegment.js";
import { switchedSegmentSuite } from "../../suite/kernelSwitched.js";

kernelSuite("in memory", async () => world());
routedSegmentSuite("in memory", async () => segmentWorld());
switchedSegmentSuite("in memory", async () => segmentWorld());

describe("the kernel in memory", () => {
  it("shows itself as the commands that an operator would type", async () => {
    const kernel = new FakeKernel();
    const pod = kernel.machine.addPod("a");
    await make(kernel, [port("p-a", pod), address(pod, "172.16.1.1/32"), route(pod, "172.16.1.2/32"), vxlan("x-1", 77), remoteOf("x-1")]);
    await make(kernel, [{ kind: "redirect", from: "p-a", to: "x-1", by: "device" }]);
    assert.deepEqual(kernel.text().split("\n"), [
      "bridge fdb append 00:00:00:00:00:00 dev x-1 dst fd00:1::2 vni 88",
      "ip -n a address add 172.16.1.1/32 dev nsm0",
      "ip -n a link set nsm0 up",
      "ip -n a route add 172.16.1.2/32 dev nsm0 proto 105",
      "ip link add p-a mtu 1400 type veth peer name nsm0 address 02:00:00:00:00:0a mtu 1400 netns /run/netns/a",
      "ip link add x-1 mtu 1400 type vxlan id 77 local fd00:1::1 dstport 4789 nolearning udpcsum",
      "ip link set p-a alias isthmus:p-a:client up",
      "ip link set x-1 alias isthmus:x-1:tunnel up",
      "tc filter replace dev p-a ingress bpf direct-action redirect device x-1",
    ]);
  });

  it("records the steps that were done as commands", async () => {
    const kernel = new FakeKernel();
    const pod = kernel.machine.addPod("a");
    const old = port("p-a", pod);
    await make(kernel, [old]);
    kernel.commands.length = 0;
    await kernel.apply([{ op: "replace", key: "port p-a", value: { ...old, mtu: 1370 }, old: { ...old, podInterface: "mine" } }]);
    await kernel.apply([{ op: "delete", key: "port p-a", old }]);
    assert.deepEqual(kernel.commands, [
      "ip link set p-a alias isthmus:p-a:client mtu 1370 up",
      "ip -n a link set mine name nsm0",
      "ip -n a link set nsm0 address 02:00:00:00:00:0a mtu 1370 up",
      "ip link delete p-a",
    ]);
  });

  it("refuses the step that a test wants refused, once", async () => {
    const kernel = new FakeKernel();
    const wanted = port("p-a", kernel.machine.addPod("a"));
    kernel.refuse("port p-a", new MeshError("kernel", "no"));
    assert.equal((await kernel.apply([add(wanted)]))[0]?.error.message, "no");
    assert.deepEqual(await kernel.apply([add(wanted)]), []);
  });
});

function segmentWorld(): SegmentWorld {
  const machine = new FakeMachine();
  return {
    open: async () => new FakeKernel(machine),
    pod: (name) => machine.addPod(name),
    index: (device) => machine.indexOf(device),
    speak: ({ name }, mac) => machine.speak(name, mac),
    byHand: (step) => (step.op === "delete" ? machine.remove(step.old) : machine.settle(step.value)),
    [Symbol.asyncDispose]: async () => {},
  };
}

function world(): KernelWorld {
  const machine = new FakeMachine();
  const portOf = (pod: Netns, device: string): Port => {
    const found = machine.port(pod, device);
    assert(found !== undefined);
    return found;
  };
  const on = (where: Netns, device: string) => ({ where, device });
  return {
    open: async () => new FakeKernel(machine),
    pod: (name) => machine.addPod(name),
    removePod: (pod) => machine.removePod(pod),
    index: (device) => machine.indexOf(device),
    meddle: {
      down: (pod, device) => machine.meddle(portOf(pod, device), { fault: "the pod's end is down" }, ["route", "neighbour"]),
      rename: (pod, device, name) => machine.meddle(portOf(pod, device), { podInterface: name }),
      setMac: (pod, device, podMac) => machine.meddle(portOf(pod, device), { podMac }),
      setMtu: (pod, device, mtu) => machine.meddle(portOf(pod, device), { mtu }),
      moveAway: (pod, device) =>
        machine.meddle(portOf(pod, device), { fault: "its end is not in the pod's namespace any more" }, ["address", "route", "neighbour"]),
      remove: (pod, device) => machine.meddle(portOf(pod, device), undefined),
      removeAddress: (pod, device, text) => machine.remove({ kind: "address", ...on(pod, device), address: text }),
      addAddress: (pod, device, text) => machine.settle({ kind: "address", ...on(pod, device), address: text }),
      removeRoute: (pod, device, prefix) => machine.remove({ kind: "route", ...on(pod, device), prefix }),
      removeRule: (pod, device, table) => machine.remove({ kind: "rule", where: pod, device, table, family: 4, priority: 0 }),
    },
    [Symbol.asyncDispose]: async () => {},
  };
}
