import type { Clock } from "../../core/clock.js";
import { close } from "../ffi/file.js";
import {
  AF_NETLINK,
  bind,
  receiveMessage,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOL_SOCKET,
  setOption,
  socket,
} from "../ffi/socket.js";
import { errnoOf } from "../ffi/system.js";
import { RTM_DELADDR, RTM_NEWADDR } from "../netlink/address.js";
import { isBridgeEntry } from "../netlink/fdb.js";
import { RTM_DELQDISC, RTM_DELTFILTER } from "../netlink/filter.js";
import { decodeLink, isBridgeMessage, type Link, RTM_DELLINK, RTM_NEWLINK } from "../netlink/link.js";
import { decodeMessages, type Message } from "../netlink/message.js";
import { RTM_DELNEIGH, RTM_NEWNEIGH } from "../netlink/neighbour.js";
import { RTM_DELROUTE, RTM_NEWROUTE, routeDevices } from "../netlink/route.js";
import { RTM_DELRULE, RTM_NEWRULE } from "../netlink/rule.js";
import { NETLINK_ROUTE, netlinkAddress } from "../netlink/socket.js";
import { onReadable } from "../signal.js";

const SOL_NETLINK = 270;
const NETLINK_LISTEN_ALL_NSID = 8;
const RTMGRP_LINK = 0x1;
const RTMGRP_NEIGH = 0x4;
const RTMGRP_TC = 0x8;
const RTMGRP_IPV4_IFADDR = 0x10;
const RTMGRP_IPV4_ROUTE = 0x40;
const RTMGRP_IPV4_RULE = 0x80;
const RTMGRP_IPV6_IFADDR = 0x100;
const RTMGRP_IPV6_ROUTE = 0x400;
const RTMGRP_IPV6_RULE = 0x40000;
const groups =
  RTMGRP_LINK |
  RTMGRP_NEIGH |
  RTMGRP_TC |
  RTMGRP_IPV4_IFADDR |
  RTMGRP_IPV4_ROUTE |
  RTMGRP_IPV6_IFADDR |
  RTMGRP_IPV6_ROUTE |
  RTMGRP_IPV4_RULE |
  RTMGRP_IPV6_RULE;
const bufferBytes = 4 * 1024 * 1024;
const perTurn = 512;
/** A change of ours is told of a dozen times: whoever waits for it gets the answer first, and then all are read in one go. */
const patienceMs = 5;

/** Something that happened, in the mesh namespace (`netnsId` undefined) or in one that it has a number for. */
export type Notice =
  | { readonly kind: "link"; readonly netnsId: number | undefined; readonly link: Link; readonly gone: boolean }
  | { readonly kind: "on-device"; readonly netnsId: number | undefined; readonly index: number }
  /** A bridge of the listener's own namespace knows somebody new at a port, or somebody less. */
  | { readonly kind: "learned"; readonly index: number }
  /** Rules bear no device. */
  | { readonly kind: "rules"; readonly netnsId: number | undefined }
  | { readonly kind: "lost" };

/** Who hears of what happens. */
export interface Hearer {
  /** Whether something in a namespace of that number is of interest. Of others nothing is read: a segment's hears all of its node's mesh. */
  concerns(netnsId: number): boolean;
  hear(notice: Notice): void;
}

/** Listens in the namespace of the moment, and through it in every namespace that has a number there. */
export function watchNamespaces(clock: Clock, hearer: Hearer): Disposable {
  const fd = open();
  const listener = { fd, buffer: Buffer.alloc(64 * 1024), hearer, closed: false };
  let soon: Disposable | undefined;
  const readable = onReadable(fd, () => {
    soon ??= clock.after(patienceMs, () => {
      soon = undefined;
      drain(listener);
    });
  });
  return {
    [Symbol.dispose]: () => {
      listener.closed = true;
      soon?.[Symbol.dispose]();
      readable[Symbol.dispose]();
      close(fd);
    },
  };
}

interface Listener {
  readonly fd: number;
  readonly buffer: Buffer;
  readonly hearer: Hearer;
  closed: boolean;
}

function open(): number {
  const fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, NETLINK_ROUTE);
  try {
    setOption(fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, 1);
    enlarge(fd);
    bind(fd, netlinkAddress(groups));
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

function enlarge(fd: number): void {
  try {
    setOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, bufferBytes);
  } catch {
    setOption(fd, SOL_SOCKET, SO_RCVBUF, bufferBytes); // as much as the host allows
  }
}

function drain(listener: Listener): void {
  for (let read = 0; read < perTurn; read++) {
    if (listener.closed || !readOne(listener)) return;
  }
  setImmediate(() => drain(listener)); // a storm must not starve the rest of the process
}

/** False when nothing is left. */
function readOne({ fd, buffer, hearer }: Listener): boolean {
  try {
    const received = receiveMessage(fd, buffer);
    if (received === undefined) return false;
    const netnsId = netnsIdOf(received.control);
    if (netnsId !== undefined && !hearer.concerns(netnsId)) return true;
    for (const message of decodeMessages(buffer.subarray(0, received.length))) notice(message, netnsId, (what) => hearer.hear(what));
  } catch (error) {
    if (errnoOf(error) !== "ENOBUFS") throw error;
    hearer.hear({ kind: "lost" });
  }
  return true;
}

/** A `struct cmsghdr` of SOL_NETLINK and then the number; there is none for the listener's own namespace. */
function netnsIdOf(control: Buffer): number | undefined {
  return control.length >= 20 ? control.readInt32LE(16) : undefined;
}

function notice(message: Message, netnsId: number | undefined, hear: (notice: Notice) => void): void {
  switch (message.type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
      if (isBridgeMessage(message.body)) hear({ kind: "on-device", netnsId, index: message.body.readInt32LE(4) });
      else hear({ kind: "link", netnsId, link: decodeLink(message.body), gone: message.type === RTM_DELLINK });
      break;
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH:
      if (netnsId === undefined && isBridgeEntry(message.body)) hear({ kind: "learned", index: message.body.readInt32LE(4) });
      // Of what pods do all the time (neighbours that come and change) nothing is heard, only that something went.
      if (message.type === RTM_DELNEIGH) hear({ kind: "on-device", netnsId, index: message.body.readInt32LE(4) });
      break;
    case RTM_NEWADDR:
    case RTM_DELADDR:
    case RTM_DELTFILTER:
    case RTM_DELQDISC:
      hear({ kind: "on-device", netnsId, index: message.body.readUInt32LE(4) });
      break;
    case RTM_NEWRULE:
    case RTM_DELRULE:
      hear({ kind: "rules", netnsId });
      break;
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
      for (const index of routeDevices(message.body)) hear({ kind: "on-device", netnsId, index });
  }
}
