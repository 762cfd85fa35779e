import { execFileSync } from "node:child_process";
import { silent } from "../../core/log.js";
import { openMesh } from "../../kernel/mesh.js";
import type { Kernel, Netns } from "../../kernel/model.js";
import { getLink } from "../../kernel/netlink/link.js";
import { NETLINK_ROUTE, NetlinkSocket } from "../../kernel/netlink/socket.js";
import { createNetns, netnsPath, removeNetns, within } from "../../kernel/netns.js";
import { type CountingVxlanFilter, openVxlanFilter } from "../../kernel/nft.js";
import { openKernel } from "../../kernel/real.js";
import type { RedirectMode } from "../../kernel/tc.js";
import { systemClock } from "../../program/clock.js";
import type { KernelWorld } from "../suite/kernel.js";

/** A node without WireGuard: its own namespace, its mesh namespace and pods. All are gone at the end. */
export class TestNode implements AsyncDisposable {
  readonly mesh: Netns;
  readonly netns: Netns;
  readonly #prefix: string;
  readonly #names: string[] = [];
  readonly #open: (Kernel | CountingVxlanFilter)[] = [];

  /** Names of namespaces begin with `prefix`. */
  constructor(prefix: string) {
    this.#prefix = prefix;
    this.mesh = openMesh(this.#named("mesh"));
    this.netns = this.pod("node");
  }

  pod(name: string): Netns {
    return createNetns(this.#named(name));
  }

  removePod(pod: Netns): void {
    removeNetns(nameOf(pod));
  }

  async open(redirects: RedirectMode | "auto" = "auto"): Promise<Kernel> {
    const filter = openVxlanFilter(this.mesh.path, { from: "any" });
    this.#open.push(filter);
    const mesh = nameOf(this.mesh);
    const kernel = await openKernel({
      mesh,
      node: this.netns.path,
      clock: systemClock,
      log: silent,
      filter,
      redirects,
    });
    this.#open.push(kernel);
    return kernel;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const part of this.#open.reverse()) {
      if (Symbol.asyncDispose in part) await part[Symbol.asyncDispose]();
      else part[Symbol.dispose]();
    }
    for (const name of this.#names) removeNetns(name);
  }

  #named(name: string): string {
    const full = `${this.#prefix}${name}`;
    removeNetns(full); // what a killed run left
    this.#names.push(full);
    return full;
  }
}

/** The name of a namespace that `createNetns` made. */
export function nameOf(netns: Netns): string {
  return netns.path.slice(netnsPath("").length + 1);
}

/** `ip -n POD …`, as somebody from outside would. */
export function ip(netns: Netns, ...args: string[]): string {
  return execFileSync("ip", ["-n", nameOf(netns), ...args], { encoding: "utf8" });
}

/** `bridge -n POD …` */
export function bridge(netns: Netns, ...args: string[]): string {
  return execFileSync("bridge", ["-n", nameOf(netns), ...args], { encoding: "utf8" });
}

/** The number of a device, read without the code under test's caches. */
export function indexOf(netns: Netns, device: string): number | undefined {
  using socket = within(netns, () => new NetlinkSocket(NETLINK_ROUTE));
  return getLink(socket, device)?.index;
}

/** The world of the kernel's suite on the real kernel. */
export async function realWorld(redirects: RedirectMode): Promise<KernelWorld> {
  const node = new TestNode("ka-s-");
  const link = (pod: Netns, ...args: string[]) => ip(pod, "link", "set", ...args);
  return {
    open: () => node.open(redirects),
    pod: (name) => node.pod(name),
    removePod: (pod) => node.removePod(pod),
    index: (device) => indexOf(node.mesh, device),
    meddle: {
      down: (pod, device) => link(pod, device, "down"),
      // Before Linux 6.2 a device that is up cannot be renamed.
      rename: (pod, device, name) => {
        link(pod, device, "down");
        link(pod, device, "name", name);
        link(pod, name, "up");
      },
      setMac: (pod, device, mac) => link(pod, device, "address", mac),
      setMtu: (pod, device, mtu) => link(pod, device, "mtu", String(mtu)),
      moveAway: (pod, device) => link(pod, device, "netns", nameOf(node.netns)),
      remove: (pod, device) => ip(pod, "link", "delete", device),
      removeAddress: (pod, device, address) => ip(pod, "address", "delete", address, "dev", device),
      addAddress: (pod, device, address) => ip(pod, "address", "add", address, "dev", device),
      removeRoute: (pod, device, prefix) => ip(pod, "route", "delete", prefix, "dev", device),
      removeRule: (pod, _device, table) => ip(pod, "rule", "delete", "table", String(table)),
    },
    [Symbol.asyncDispose]: () => node[Symbol.asyncDispose](),
  };
}
