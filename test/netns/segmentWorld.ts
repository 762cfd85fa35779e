import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { silent } from "../../core/log.js";
import { commandsOf } from "../../kernel/commands.js";
import type { Kernel, Netns, SegmentLayer, Step } from "../../kernel/model.js";
import { type CountingVxlanFilter, openVxlanFilter } from "../../kernel/nft.js";
import { openKernel } from "../../kernel/real.js";
import { openSegmentNetns, removeSegmentNetns } from "../../kernel/segment.js";
import { vnisOnly } from "../../kernel/vnis.js";
import { systemClock } from "../../program/clock.js";
import { make } from "../suite/kernel.js";
import type { SegmentWorld } from "../suite/kernelSegment.js";
import { ethernet, everyone, experimental, Wire } from "./frames.js";
import { indexOf, ip, nameOf, TestNode } from "./kernelWorld.js";

/** A node's part of a segment: its mesh namespace, the segment's own beside it, and pods. All that it made are gone at the end. */
export class SegmentNode implements AsyncDisposable {
  readonly node: TestNode;
  readonly netns: Netns;
  readonly #hasNode: boolean;
  readonly #name: string;
  readonly #layer: SegmentLayer;
  readonly #open: (Kernel | CountingVxlanFilter)[] = [];

  /** `on`: a node that has another segment already. */
  constructor(prefix: string, layer: SegmentLayer, on?: SegmentNode) {
    this.node = on?.node ?? new TestNode(prefix);
    this.#hasNode = on === undefined;
    this.#name = `${prefix}seg-s1`;
    this.#layer = layer;
    removeSegmentNetns(this.#name); // what a killed run left
    this.netns = openSegmentNetns(this.#name, layer);
  }

  async open(): Promise<Kernel> {
    const filter = openVxlanFilter(this.node.mesh.path, { from: "any" });
    this.#open.push(filter);
    const kernel = await openKernel({
      mesh: this.#name,
      segment: this.#layer,
      node: this.node.mesh.path,
      clock: systemClock,
      log: silent,
      filter: vnisOnly(filter, (vni) => vni >= 2 ** 23),
    });
    this.#open.push(kernel);
    return kernel;
  }

  /** Runs the step's commands as an operator would, in the segment's namespace and its node's mesh. */
  byHand(step: Step): void {
    for (const line of commandsOf(step)) {
      const filter = line.includes("inet isthmus sources");
      const command = line.replace("-n NODE", `-n ${nameOf(this.node.mesh)}`).replace("netns MESH", `netns ${this.#name}`);
      const where = filter ? this.node.mesh.path : this.netns.path;
      execFileSync("nsenter", [`--net=${where}`, "--", ...command.split(" ")], { encoding: "utf8" });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const part of this.#open.reverse()) {
      if (Symbol.asyncDispose in part) await part[Symbol.asyncDispose]();
      else part[Symbol.dispose]();
    }
    removeSegmentNetns(this.#name);
    if (this.#hasNode) await this.node[Symbol.asyncDispose]();
  }
}

/** A LAN between mesh namespaces in place of WireGuard, with the tunnel addresses fd00:1::1, fd00:1::2 and so on. */
export async function joinMeshes(...nodes: readonly SegmentNode[]): Promise<void> {
  const lan = nodes[0]?.node.pod("lan");
  assert.ok(lan !== undefined);
  ip(lan, "link", "add", "lan", "type", "bridge");
  ip(lan, "link", "set", "lan", "up");
  for (const [at, { node }] of nodes.entries()) {
    const end = ["name", "wg0", "mtu", "1500", "netns", nameOf(node.mesh)];
    ip(lan, "link", "add", `wg${at}`, "mtu", "1500", "master", "lan", "type", "veth", "peer", ...end);
    ip(lan, "link", "set", `wg${at}`, "up");
    ip(node.mesh, "link", "set", "wg0", "up");
    const kernel = await node.open();
    await make(kernel, [{ kind: "address", where: "mesh", device: "wg0", address: `fd00:1::${at + 1}/64` }]);
  }
}

/** The world of the segments' suite on the real kernel. */
export async function realSegmentWorld(layer: SegmentLayer): Promise<SegmentWorld> {
  const segment = new SegmentNode("ka-s-", layer);
  return {
    open: () => segment.open(),
    pod: (name) => segment.node.pod(name),
    index: (device) => indexOf(segment.netns, device),
    speak(port, mac) {
      using wire = new Wire(port.pod, port.podInterface);
      wire.send(ethernet(everyone, mac, experimental, Buffer.alloc(46)));
    },
    byHand: (step) => segment.byHand(step),
    [Symbol.asyncDispose]: () => segment[Symbol.asyncDispose](),
  };
}
