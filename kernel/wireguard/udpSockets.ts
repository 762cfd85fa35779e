import fs from "node:fs";
import { close } from "../ffi/file.js";
import { pidfdGetfd, pidfdOpen } from "../ffi/process.js";
import { SO_RCVBUFFORCE, SO_SNDBUFFORCE, SOL_SOCKET, setOption } from "../ffi/socket.js";

const IPPROTO_IP = 0;
const IP_MTU_DISCOVER = 10;
const IP_PMTUDISC_DONT = 0;

/**
 * Bytes; the kernel takes twice as much. The default of 208 KiB holds 90 packets, fewer than one burst of a TCP stream, and what does not
 * fit while wireguard-go waits for a processor is lost. More than this would only make packets wait.
 */
const room = 1 << 20;

/** Whether the process has a UDP socket on the port in its network namespace. */
export function hasUdpSocket(pid: number, port: number): boolean {
  return udpSockets(pid, port).length > 0;
}

/**
 * Makes the UDP sockets that wireguard-go has on a port fit to carry a node's traffic: room for bursts, and IPv4 packets that routers may
 * fragment. It has no words for either, so its sockets are borrowed for the moment that it takes. Throws where we may not trace it.
 */
export function tuneUdpSockets(pid: number, port: number): void {
  const process = pidfdOpen(pid);
  try {
    for (const { fd, family } of udpSockets(pid, port)) {
      const socket = pidfdGetfd(process, fd);
      try {
        for (const option of [SO_RCVBUFFORCE, SO_SNDBUFFORCE]) setOption(socket, SOL_SOCKET, option, room);
        if (family === 4) setOption(socket, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
      } finally {
        close(socket);
      }
    }
  } finally {
    close(process);
  }
}

interface UdpSocket {
  readonly fd: number;
  readonly family: 4 | 6;
}

function udpSockets(pid: number, port: number): UdpSocket[] {
  const families = new Map([
    ...bound(pid, "udp", port).map((inode) => [inode, 4] as const),
    ...bound(pid, "udp6", port).map((inode) => [inode, 6] as const),
  ]);
  return fs.readdirSync(`/proc/${pid}/fd`).flatMap((name) => {
    const family = families.get(inodeOf(`/proc/${pid}/fd/${name}`));
    return family === undefined ? [] : [{ fd: Number(name), family }];
  });
}

/** The inodes of the sockets that are bound to the port, as /proc lists them: `sl local:port remote:port … inode …`. */
function bound(pid: number, table: "udp" | "udp6", port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return fs
    .readFileSync(`/proc/${pid}/net/${table}`, "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .flatMap((fields) => (fields[1]?.endsWith(suffix) && fields[9] !== undefined ? [fields[9]] : []));
}

function inodeOf(link: string): string {
  try {
    return /^socket:\[(\d+)\]$/.exec(fs.readlinkSync(link))?.[1] ?? "";
  } catch {
    return ""; // closed in between
  }
}
