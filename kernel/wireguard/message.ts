/** Generic netlink messages of the kernel's WireGuard (linux/uapi/wireguard.h). */
import ipaddr from "ipaddr.js";
import { AF_INET, AF_INET6 } from "../ffi/socket.js";
import {
  type Attributes,
  attribute,
  attributeList,
  nested,
  parseAttributes,
  readU16,
  readU64,
  text,
  u8,
  u16,
  u32,
} from "../netlink/attributes.js";
import { formatEndpoint, parseEndpoint, sortedCidrs } from "./addresses.js";
import type { DeviceChange, DeviceState, PeerChange, PeerState } from "./config.js";

export const WG_CMD_GET_DEVICE = 0;
export const WG_CMD_SET_DEVICE = 1;
export const WG_GENL_VERSION = 1;

const WGDEVICE_A_IFNAME = 2;
const WGDEVICE_A_PRIVATE_KEY = 3;
const WGDEVICE_A_FLAGS = 5;
const WGDEVICE_A_LISTEN_PORT = 6;
const WGDEVICE_A_PEERS = 8;
const WGDEVICE_F_REPLACE_PEERS = 1;
const WGPEER_A_PUBLIC_KEY = 1;
const WGPEER_A_FLAGS = 3;
const WGPEER_A_ENDPOINT = 4;
const WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL = 5;
const WGPEER_A_LAST_HANDSHAKE_TIME = 6;
const WGPEER_A_RX_BYTES = 7;
const WGPEER_A_TX_BYTES = 8;
const WGPEER_A_ALLOWEDIPS = 9;
const WGPEER_F_REMOVE_ME = 1;
const WGPEER_F_REPLACE_ALLOWEDIPS = 2;
const WGALLOWEDIP_A_FAMILY = 1;
const WGALLOWEDIP_A_IPADDR = 2;
const WGALLOWEDIP_A_CIDR_MASK = 3;
// A nested attribute holds at most 64 KiB.
const peersPerMessage = 100;

/** The attributes of the messages that make a change: more than one where there are many peers. */
export function encodeChange(device: string, change: DeviceChange): Buffer[][] {
  const peers = change.peers ?? [];
  const first = [text(WGDEVICE_A_IFNAME, device)];
  if (change.privateKey !== undefined) first.push(attribute(WGDEVICE_A_PRIVATE_KEY, Buffer.from(change.privateKey, "base64")));
  if (change.listenPort !== undefined) first.push(u16(WGDEVICE_A_LISTEN_PORT, change.listenPort));
  if (change.replacePeers) first.push(u32(WGDEVICE_A_FLAGS, WGDEVICE_F_REPLACE_PEERS));
  const messages = [[...first, encodePeers(peers.slice(0, peersPerMessage))]];
  for (let at = peersPerMessage; at < peers.length; at += peersPerMessage) {
    messages.push([text(WGDEVICE_A_IFNAME, device), encodePeers(peers.slice(at, at + peersPerMessage))]);
  }
  return messages;
}

/** The attribute that names the device to read. */
export function encodeQuestion(device: string): Buffer {
  return text(WGDEVICE_A_IFNAME, device);
}

/** A device from the messages of a dump. A peer with many allowed IPs goes on in the next message. */
export function decodeDevice(messages: readonly Attributes[]): DeviceState {
  const key = messages[0]?.get(WGDEVICE_A_PRIVATE_KEY);
  const peers = new Map<string, PeerState>();
  for (const message of messages) {
    for (const [, bytes] of attributeList(message.get(WGDEVICE_A_PEERS) ?? Buffer.alloc(0))) {
      const peer = decodePeer(parseAttributes(bytes));
      const before = peers.get(peer.publicKey);
      peers.set(
        peer.publicKey,
        before === undefined ? peer : { ...before, allowedIps: sortedCidrs([...before.allowedIps, ...peer.allowedIps]) },
      );
    }
  }
  return {
    privateKey: key?.some((byte) => byte !== 0) ? key.toString("base64") : undefined,
    listenPort: messages[0] === undefined ? 0 : (readU16(messages[0], WGDEVICE_A_LISTEN_PORT) ?? 0),
    peers: [...peers.values()],
  };
}

function encodePeers(peers: readonly PeerChange[]): Buffer {
  return nested(WGDEVICE_A_PEERS, ...peers.map((peer) => nested(0, ...encodePeer(peer))));
}

function encodePeer(peer: PeerChange): Buffer[] {
  const attributes = [attribute(WGPEER_A_PUBLIC_KEY, Buffer.from(peer.publicKey, "base64"))];
  if (peer.remove) return [...attributes, u32(WGPEER_A_FLAGS, WGPEER_F_REMOVE_ME)];
  if (peer.endpoint !== undefined) attributes.push(attribute(WGPEER_A_ENDPOINT, encodeEndpoint(peer.endpoint)));
  if (peer.keepalive !== undefined) attributes.push(u16(WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, peer.keepalive));
  if (peer.allowedIps !== undefined) {
    attributes.push(u32(WGPEER_A_FLAGS, WGPEER_F_REPLACE_ALLOWEDIPS), nested(WGPEER_A_ALLOWEDIPS, ...peer.allowedIps.map(encodeAllowedIp)));
  }
  return attributes;
}

function encodeAllowedIp(cidr: string): Buffer {
  const [address, bits] = ipaddr.parseCIDR(cidr);
  return nested(
    0,
    u16(WGALLOWEDIP_A_FAMILY, address.kind() === "ipv4" ? AF_INET : AF_INET6),
    attribute(WGALLOWEDIP_A_IPADDR, Buffer.from(address.toByteArray())),
    u8(WGALLOWEDIP_A_CIDR_MASK, bits),
  );
}

function decodePeer(peer: Attributes): PeerState {
  const handshake = peer.get(WGPEER_A_LAST_HANDSHAKE_TIME);
  const allowedIps = attributeList(peer.get(WGPEER_A_ALLOWEDIPS) ?? Buffer.alloc(0));
  return {
    publicKey: (peer.get(WGPEER_A_PUBLIC_KEY) ?? Buffer.alloc(0)).toString("base64"),
    endpoint: decodeEndpoint(peer.get(WGPEER_A_ENDPOINT)),
    allowedIps: sortedCidrs(allowedIps.flatMap(([, bytes]) => decodeAllowedIp(parseAttributes(bytes)))),
    keepalive: readU16(peer, WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL) ?? 0,
    lastHandshake:
      handshake === undefined ? 0 : Number(handshake.readBigInt64LE(0)) * 1000 + Math.floor(Number(handshake.readBigInt64LE(8)) / 1e6),
    rxBytes: Number(readU64(peer, WGPEER_A_RX_BYTES) ?? 0n),
    txBytes: Number(readU64(peer, WGPEER_A_TX_BYTES) ?? 0n),
  };
}

function decodeAllowedIp(allowed: Attributes): string[] {
  const bytes = allowed.get(WGALLOWEDIP_A_IPADDR);
  const bits = allowed.get(WGALLOWEDIP_A_CIDR_MASK)?.[0];
  return bytes === undefined || bits === undefined ? [] : [`${ipaddr.fromByteArray([...bytes]).toString()}/${bits}`];
}

/** `struct sockaddr_in` or `sockaddr_in6`. */
function encodeEndpoint(endpoint: string): Buffer {
  const { address, port } = parseEndpoint(endpoint);
  const four = address.kind() === "ipv4";
  const bytes = Buffer.alloc(four ? 16 : 28);
  bytes.writeUInt16LE(four ? AF_INET : AF_INET6, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(address.toByteArray(), four ? 4 : 8);
  return bytes;
}

function decodeEndpoint(bytes: Buffer | undefined): string | undefined {
  if (bytes === undefined || bytes.length < 16) return undefined;
  const address = bytes.readUInt16LE(0) === AF_INET ? bytes.subarray(4, 8) : bytes.subarray(8, 24);
  return formatEndpoint({ address: ipaddr.fromByteArray([...address]), port: bytes.readUInt16BE(2) });
}
