import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { silent } from "../../core/log.js";
import { firstOfSegments } from "../../forwarder/claims.js";
import type { Underlay } from "../../forwarder/mechanisms/ends.js";
import { ConnectionKeys } from "../../forwarder/mechanisms/keys.js";
import { realPods } from "../../forwarder/pods.js";
import { realSpaces } from "../../forwarder/segments/realSpaces.js";
import { tunnelNode } from "../../forwarder/tunnel/node.js";
import { announce } from "../../kernel/announce.js";
import { ping } from "../../kernel/icmp.js";
import { openMesh } from "../../kernel/mesh.js";
import type { Netns } from "../../kernel/model.js";
import { createNetns, netnsPath, removeNetns } from "../../kernel/netns.js";
import { openVxlanFilter } from "../../kernel/nft.js";
import { probePathMtu } from "../../kernel/pathmtu.js";
import { openKernel } from "../../kernel/real.js";
import { listSegmentNetns, segmentPrefix } from "../../kernel/segment.js";
import { vnisOnly } from "../../kernel/vnis.js";
import { ensureKeyFile } from "../../kernel/wireguard/keys.js";
import { detectWireguard, openWireguard } from "../../kernel/wireguard/open.js";
import { outsideOf } from "../../kernel/wireguard/outside.js";
import { systemClock } from "../../program/clock.js";
import type { Machine } from "../unit/forwarder/world.js";

/** A node of this machine: a namespace with an underlay link, its mesh namespace, and pods. Names begin with kf-. */
export class RealMachine implements Machine {
  readonly underlay: Underlay;
  readonly #number: number;
  readonly #folder = mkdtempSync(path.join(tmpdir(), "isthmus-kf-"));
  readonly #names: string[] = [];

  constructor(number: number) {
    this.#number = number;
    this.underlay = { ip: `10.88.0.${number}`, mtu: 1500, wireguard: detectWireguard() };
    removeNetns(`kf-node${number}`);
    removeNetns(`kf-mesh${number}`);
    this.#names.push(`kf-node${number}`, `kf-mesh${number}`);
    createNetns(`kf-node${number}`);
    ip("-n", `kf-node${number}`, "link", "set", "lo", "up");
  }

  /** A link between two nodes. */
  static join(a: RealMachine, b: RealMachine): void {
    const names = [a, b].map((machine) => `kf-node${machine.#number}`);
    ip("-n", names[0] ?? "", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", names[1] ?? "");
    for (const machine of [a, b]) {
      ip("-n", `kf-node${machine.#number}`, "address", "add", `${machine.underlay.ip}/24`, "dev", "eth0");
      ip("-n", `kf-node${machine.#number}`, "link", "set", "eth0", "up");
    }
  }

  pod(name: string): Netns {
    removeNetns(`kf-${name}`);
    this.#names.push(`kf-${name}`);
    const pod = createNetns(`kf-${name}`);
    ip("-n", `kf-${name}`, "link", "set", "lo", "up");
    return pod;
  }

  tunnel(subject: string) {
    const keyFile = path.join(this.#folder, "node.key");
    return tunnelNode({
      id: subject,
      node: subject,
      keyFile,
      publicKey: ensureKeyFile(keyFile),
      listenPort: 51820,
      underlay: this.underlay,
    });
  }

  async open() {
    const mesh = openMesh(`kf-mesh${this.#number}`);
    const node = netnsPath(`kf-node${this.#number}`);
    const parts = { mesh: mesh.path, node, clock: systemClock, log: silent, logDir: path.join(this.#folder, "log") };
    const wireguard = openWireguard(parts);
    const filter = openVxlanFilter(mesh.path);
    const meshName = `kf-mesh${this.#number}`;
    const own = vnisOnly(filter, (vni) => vni < firstOfSegments);
    const kernel = await openKernel({ mesh: meshName, node, clock: systemClock, log: silent, wireguard, filter: own });
    const spaces = realSpaces({ mesh, meshName, filter, clock: systemClock, log: silent });
    const { address, device } = this.tunnel(`spiffe://test/node-${this.#number}/forwarder`);
    return {
      ...{ kernel, spaces, pods: realPods, keys: new ConnectionKeys(path.join(this.#folder, "keys")) },
      link: {
        status: (device: string) => wireguard.status(device),
        reaches: (destination: string, signal: AbortSignal) =>
          ping(mesh, { source: address, destination, timeoutMs: 400, count: 2, clock: systemClock, signal }),
        pathMtu: async (destination: string, expected: number, signal: AbortSignal) => {
          const found = await outsideOf(wireguard, device, destination);
          const outside = found && { ...found, node };
          return await probePathMtu(mesh, { source: address, destination, expected, outside, clock: systemClock, signal });
        },
      },
      ping: (from: Netns, device: string, source: string, destination: string, timeoutMs: number, signal: AbortSignal) =>
        ping(from, { device, source, destination, timeoutMs, count: 4, clock: systemClock, signal }),
      announce: ({ pod, name }: { pod: Netns; name: string }, addresses: readonly string[]) => announce(pod, name, addresses),
      close: async () => {
        await kernel[Symbol.asyncDispose]();
        filter[Symbol.dispose]();
        await wireguard[Symbol.asyncDispose]();
      },
    };
  }

  /** Removes everything: also what carries WireGuard, by taking its device away. */
  async remove(): Promise<void> {
    const { device } = this.tunnel(`spiffe://test/node-${this.#number}/forwarder`);
    const mesh = openMesh(`kf-mesh${this.#number}`);
    const parts = { mesh: mesh.path, node: netnsPath(`kf-node${this.#number}`), clock: systemClock, log: silent, logDir: this.#folder };
    const wireguard = openWireguard(parts);
    for (const old of await wireguard.list("isthmus:"))
      if (old.kind === "wireguard") await wireguard.apply({ op: "delete", key: device, old });
    await wireguard[Symbol.asyncDispose]();
    for (const name of [...listSegmentNetns(segmentPrefix(`kf-mesh${this.#number}`)), ...this.#names]) removeNetns(name);
    rmSync(this.#folder, { recursive: true });
  }
}

export function ip(...args: readonly string[]): string {
  return execFileSync("ip", args, { encoding: "utf8" });
}
