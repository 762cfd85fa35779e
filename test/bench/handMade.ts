import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { check, Running } from "../lib/command.js";
import type { Lab } from "../lib/lab.js";
import { until } from "../lib/until.js";
import { Cleanup } from "./cleanup.js";
import type { StreamEnds } from "./rounds.js";

/** Two namespaces joined by hand with ip and wg, to hold ours against. Everything goes with it. */
export interface HandMade extends AsyncDisposable {
  readonly ends: StreamEnds;
}

const inside = (netns: string) => ({
  exec: (command: string, ...args: string[]): Promise<string> =>
    check("nsenter", [`--net=/run/netns/${netns}`, "--", command, ...args], { timeoutMs: 60_000 }),
  spawn: (command: string, ...args: string[]): Running => new Running("nsenter", [`--net=/run/netns/${netns}`, "--", command, ...args]),
});

const ip = (...args: string[]): Promise<string> => check("ip", args);

function ends(client: string, server: string, address: string): StreamEnds {
  return { client: inside(client).exec, server: inside(server).spawn, address };
}

async function namespaces(...names: string[]): Promise<Cleanup> {
  await using stack = new Cleanup();
  for (const name of names) {
    await ip("netns", "add", name);
    stack.defer(async () => {
      await ip("netns", "del", name);
    });
    await ip("-n", name, "link", "set", "lo", "up");
  }
  return stack.move();
}

/** One veth pair. */
export async function vethPair(prefix: string): Promise<HandMade> {
  const [a, b] = [`${prefix}-hand-a`, `${prefix}-hand-b`];
  const stack = await namespaces(a, b);
  await ip("link", "add", "hand0", "netns", a, "type", "veth", "peer", "name", "hand0", "netns", b);
  await ip("-n", a, "addr", "add", "10.99.0.1/24", "dev", "hand0");
  await ip("-n", b, "addr", "add", "10.99.0.2/24", "dev", "hand0");
  await ip("-n", a, "link", "set", "hand0", "up");
  await ip("-n", b, "link", "set", "hand0", "up");
  return { ends: ends(a, b, "10.99.0.2"), [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose]() };
}

/** Where a node's tunnels start: its namespace and its address on the underlay. */
export interface Underlay {
  readonly netns: string;
  readonly address: string;
}

export async function underlay(lab: Lab, node: string, family: 4 | 6): Promise<Underlay> {
  const links = JSON.parse(await lab.exec(node, "ip", "-j", `-${family}`, "addr", "show", "scope", "global")) as {
    addr_info: { local: string }[];
  }[];
  return { netns: `${lab.prefix}-${node}`, address: links[0]?.addr_info[0]?.local ?? "" };
}

/** A VXLAN device a side, made in the node's namespace and moved into a pod's. */
export async function vxlanPair(prefix: string, sides: readonly [Underlay, Underlay], mtu: number): Promise<HandMade> {
  const pods = [`${prefix}-hand-a`, `${prefix}-hand-b`] as const;
  const stack = await namespaces(...pods);
  for (const [index, pod] of pods.entries()) {
    const [own, peer] = index === 0 ? sides : [sides[1], sides[0]];
    await ip(
      "-n",
      own.netns,
      "link",
      "add",
      "hand0",
      "type",
      "vxlan",
      "id",
      "7",
      "local",
      own.address,
      "remote",
      peer.address,
      "dstport",
      "4790",
      "udp6zerocsumrx",
    );
    await ip("-n", own.netns, "link", "set", "hand0", "netns", pod);
    await ip("-n", pod, "link", "set", "hand0", "mtu", String(mtu), "up");
    await ip("-n", pod, "addr", "add", `10.99.0.${index + 1}/24`, "dev", "hand0");
  }
  return { ends: ends(...pods, "10.99.0.2"), [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose]() };
}

/** A wireguard-go device a side, its socket in the node's namespace, itself in the namespace given. */
async function wireguardPair(
  prefix: string,
  sides: readonly [Underlay, Underlay],
  homes: readonly [string, string],
  mtu: number,
): Promise<Cleanup> {
  await using stack = new Cleanup();
  const folder = await mkdtemp(join(tmpdir(), "isthmus-bench-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const names = [`${prefix}ha`.slice(-12), `${prefix}hb`.slice(-12)] as const;
  const keys = [await keyPair(folder, "a"), await keyPair(folder, "b")] as const;
  for (const [index, name] of names.entries()) {
    const side = index === 0 ? sides[0] : sides[1];
    const process = inside(side.netns).spawn("wireguard-go", "-f", name);
    stack.use(process);
    await until(`${name} is there`, 5_000, () => inside(side.netns).exec("ip", "link", "show", name));
    await ip("-n", side.netns, "link", "set", name, "netns", homes[index] ?? "");
  }
  for (const [index, name] of names.entries()) {
    const [own, peer] = index === 0 ? keys : [keys[1], keys[0]];
    const far = index === 0 ? sides[1] : sides[0];
    const endpoint = far.address.includes(":") ? `[${far.address}]:51999` : `${far.address}:51999`;
    await check("wg", [
      "set",
      name,
      "listen-port",
      "51999",
      "private-key",
      own.file,
      "peer",
      peer.publicKey,
      "allowed-ips",
      "0.0.0.0/0,::/0",
      "endpoint",
      endpoint,
    ]);
    await ip("-n", homes[index] ?? "", "link", "set", name, "mtu", String(mtu), "up");
  }
  return stack.move();
}

async function keyPair(folder: string, name: string): Promise<{ file: string; publicKey: string }> {
  const file = join(folder, name);
  await writeFile(file, await check("wg", ["genkey"]), { mode: 0o600 });
  const publicKey = (await check("sh", ["-c", `wg pubkey < ${file}`])).trim();
  await readFile(file);
  return { file, publicKey };
}

/** WireGuard straight into the pods. */
export async function wireguardPods(prefix: string, sides: readonly [Underlay, Underlay], mtu: number): Promise<HandMade> {
  const pods = [`${prefix}-hand-a`, `${prefix}-hand-b`] as const;
  const stack = await namespaces(...pods);
  stack.use(await wireguardPair(prefix, sides, pods, mtu));
  for (const [index, pod] of pods.entries()) {
    const device = `${prefix}h${index === 0 ? "a" : "b"}`.slice(-12);
    await ip("-n", pod, "addr", "add", `10.99.0.${index + 1}/24`, "dev", device);
  }
  return { ends: ends(...pods, "10.99.0.2"), [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose]() };
}

/** VXLAN over WireGuard, as the node tunnel has it: WireGuard in a namespace of its own, the VXLAN device in the pod. */
export async function vxlanOverWireguard(
  prefix: string,
  sides: readonly [Underlay, Underlay],
  mtu: { readonly wireguard: number; readonly vxlan: number },
): Promise<HandMade> {
  const homes = [`${prefix}-hand-m`, `${prefix}-hand-n`] as const;
  const stack = await namespaces(...homes);
  stack.use(await wireguardPair(prefix, sides, homes, mtu.wireguard));
  const inner: [Underlay, Underlay] = [
    { netns: homes[0], address: "fd99::1" },
    { netns: homes[1], address: "fd99::2" },
  ];
  for (const [index, home] of homes.entries()) {
    const device = `${prefix}h${index === 0 ? "a" : "b"}`.slice(-12);
    await ip("-n", home, "addr", "add", `fd99::${index + 1}/64`, "dev", device, "nodad");
  }
  const pair = await vxlanPair(prefix, inner, mtu.vxlan);
  stack.use(pair);
  return { ends: pair.ends, [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose]() };
}
