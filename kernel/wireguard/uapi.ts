/**
 * The text protocol of a userspace WireGuard's control socket (wireguard.com/xplatform): lines of key=value,
 * an empty line at the end, keys in hex.
 */
import { MeshError } from "../../core/error.js";
import { canonicalEndpoint, sortedCidrs } from "./addresses.js";
import type { DeviceChange, DeviceState, PeerChange, PeerState } from "./config.js";

/** The question for everything that a device has. */
export const getRequest = "get=1\n\n";

/** A change as one `set` operation. */
export function encodeSet(change: DeviceChange): string {
  const lines = ["set=1"];
  if (change.privateKey !== undefined) lines.push(`private_key=${toHex(change.privateKey)}`);
  if (change.listenPort !== undefined) lines.push(`listen_port=${change.listenPort}`);
  if (change.replacePeers) lines.push("replace_peers=true");
  for (const peer of change.peers ?? []) lines.push(...peerLines(peer));
  return `${lines.join("\n")}\n\n`;
}

function peerLines(peer: PeerChange): string[] {
  const lines = [`public_key=${toHex(peer.publicKey)}`];
  if (peer.remove) return [...lines, "remove=true"];
  if (peer.endpoint !== undefined) lines.push(`endpoint=${peer.endpoint}`);
  if (peer.keepalive !== undefined) lines.push(`persistent_keepalive_interval=${peer.keepalive}`);
  if (peer.allowedIps !== undefined) lines.push("replace_allowed_ips=true", ...peer.allowedIps.map((cidr) => `allowed_ip=${cidr}`));
  return lines;
}

/** An answer's pairs in order, without `errno`. Throws MeshError kernel where errno is not 0. */
export function parseAnswer(text: string): [string, string][] {
  const pairs = text
    .split("\n")
    .filter((line) => line !== "")
    .map((line): [string, string] => {
      const at = line.indexOf("=");
      return [line.slice(0, at), line.slice(at + 1)];
    });
  const errno = pairs.find(([key]) => key === "errno")?.[1];
  if (errno !== "0") throw new MeshError("kernel", `wireguard-go refused the change with errno ${errno ?? "missing"}; see its log`);
  return pairs.filter(([key]) => key !== "errno");
}

/** What a `get` answered. */
export function parseGet(text: string): DeviceState {
  const pairs = parseAnswer(text);
  const starts = pairs.flatMap(([key], at) => (key === "public_key" ? [at] : []));
  const device = new Map(pairs.slice(0, starts[0] ?? pairs.length));
  const privateKey = device.get("private_key");
  return {
    privateKey: privateKey === undefined ? undefined : toBase64(privateKey),
    listenPort: Number(device.get("listen_port") ?? 0),
    peers: starts.map((start, n) => parsePeer(pairs.slice(start, starts[n + 1] ?? pairs.length))),
  };
}

function parsePeer(pairs: readonly [string, string][]): PeerState {
  const one = new Map(pairs);
  const number = (key: string): number => Number(one.get(key) ?? 0);
  const endpoint = one.get("endpoint");
  return {
    publicKey: toBase64(one.get("public_key") ?? ""),
    endpoint: endpoint === undefined ? undefined : canonicalEndpoint(endpoint),
    allowedIps: sortedCidrs(pairs.filter(([key]) => key === "allowed_ip").map(([, value]) => value)),
    keepalive: number("persistent_keepalive_interval"),
    lastHandshake: number("last_handshake_time_sec") * 1000 + Math.floor(number("last_handshake_time_nsec") / 1e6),
    rxBytes: number("rx_bytes"),
    txBytes: number("tx_bytes"),
  };
}

function toHex(key: string): string {
  return Buffer.from(key, "base64").toString("hex");
}

function toBase64(key: string): string {
  return Buffer.from(key, "hex").toString("base64");
}
