import type { Lab } from "./lab.js";

/** Frames as a pod with a raw socket can send them. Addresses and types are hexadecimal, without colons. */

export const everybody = "ffffffffffff";
/** A local experimental ethertype (IEEE 802, 88b5). */
export const experimental = "88b5";

export function hexMac(mac: string): string {
  return mac.replaceAll(":", "");
}

export function hexIp(address: string): string {
  return address
    .split(".")
    .map((byte) => Number(byte).toString(16).padStart(2, "0"))
    .join("");
}

/** An ARP request by which `mac` says that it has `sender` and asks who has `target`. */
export function arpRequest(mac: string, sender: string, target: string): string {
  return `0806000108000604${"0001"}${hexMac(mac)}${hexIp(sender)}${"00".repeat(6)}${hexIp(target)}`;
}

/** An IPv4 packet with protocol 253 (RFC 3692, for experiments) to everybody on the link, and a payload. Nobody needs its checksum. */
export function ipPacket(source: string, payload: string): string {
  const length = (20 + payload.length / 2).toString(16).padStart(4, "0");
  return `08004500${length}0000000040fd0000${hexIp(source)}ffffffff${payload}`;
}

/** Sends whole frames from a pod's interface, three times each: `rest` is what follows the two addresses. */
export async function send(lab: Lab, pod: string, device: string, source: string, rest: string): Promise<void> {
  const frame = `${everybody}${hexMac(source)}${rest}`.padEnd(120, "0");
  const script = [
    "import socket, sys",
    "s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    "s.bind((sys.argv[1], 0))",
    "for _ in range(3): s.send(bytes.fromhex(sys.argv[2]))",
  ].join("\n");
  await lab.exec(`pod-${pod}`, "python3", "-c", script, device, frame);
}
