import { checksum } from "./echo.js";
import { close } from "./ffi/file.js";
import { AF_PACKET, SOCK_RAW, sendTo, socket } from "./ffi/socket.js";
import type { Netns } from "./model.js";
import { ipBytes, macBytes } from "./netlink/ip.js";
import { getLink } from "./netlink/link.js";
import { NETLINK_ROUTE, NetlinkSocket } from "./netlink/socket.js";
import { within } from "./netns.js";

const ETHERTYPE_ARP = 0x0806;
const ETHERTYPE_IPV6 = 0x86dd;
const IPPROTO_ICMPV6 = 58;
const allNodes = Buffer.from("ff020000000000000000000000000001", "hex");
const allNodesMac = Buffer.from("333300000001", "hex");
const everyone = Buffer.from("ffffffffffff", "hex");

/**
 * Tells the neighbours of a device where its addresses are now: gratuitous ARP and unsolicited neighbour advertisements, once each,
 * with the device's own MAC. For after a change that moved them. A device that is gone or down is passed over.
 */
export function announce(where: string | Netns, device: string, addresses: readonly string[]): void {
  within(where, () => {
    using netlink = new NetlinkSocket(NETLINK_ROUTE);
    const link = getLink(netlink, device);
    if (link === undefined || !link.up || link.mac === "") return;
    const fd = socket(AF_PACKET, SOCK_RAW, 0);
    try {
      for (const frame of addresses.map((address) => announcement(macBytes(link.mac), address))) sendTo(fd, frame, linkAddress(link.index));
    } finally {
      close(fd);
    }
  });
}

/** The frame that says `address` is at `mac`. */
export function announcement(mac: Uint8Array, address: string): Buffer {
  const bytes = ipBytes(address);
  return bytes.length === 4 ? gratuitousArp(mac, bytes) : unsolicitedAdvertisement(mac, bytes);
}

/** An ARP request for one's own address (RFC 5227, ARP announcement). */
function gratuitousArp(mac: Uint8Array, address: Uint8Array): Buffer {
  const arp = Buffer.from("0001080006040001", "hex");
  return Buffer.concat([ethernet(everyone, mac, ETHERTYPE_ARP), arp, mac, address, Buffer.alloc(6), address]);
}

/** A neighbour advertisement to all nodes with the override flag (RFC 4861, 4.4). */
function unsolicitedAdvertisement(mac: Uint8Array, address: Uint8Array): Buffer {
  const message = Buffer.concat([Buffer.from("8800000020000000", "hex"), address, Uint8Array.of(2, 1), mac]);
  const pseudo = Buffer.concat([address, allNodes, Uint8Array.of(0, 0, 0, message.length, 0, 0, 0, IPPROTO_ICMPV6)]);
  message.writeUInt16BE(checksum(Buffer.concat([pseudo, message])), 2);
  const header = Buffer.from([0x60, 0, 0, 0, 0, message.length, IPPROTO_ICMPV6, 255]);
  return Buffer.concat([ethernet(allNodesMac, mac, ETHERTYPE_IPV6), header, address, allNodes, message]);
}

function ethernet(destination: Uint8Array, source: Uint8Array, type: number): Buffer {
  return Buffer.concat([destination, source, Uint8Array.of(type >> 8, type & 0xff)]);
}

/** `struct sockaddr_ll` of a device. */
function linkAddress(index: number): Buffer {
  const bytes = Buffer.alloc(20);
  bytes.writeUInt16LE(AF_PACKET, 0);
  bytes.writeInt32LE(index, 4);
  return bytes;
}
