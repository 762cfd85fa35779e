import fs from "node:fs";
import { MeshError } from "../../core/error.js";
import type { Netns, Where } from "../model.js";
import { getLink } from "../netlink/link.js";
import { netnsId } from "../netlink/nsid.js";
import { NETLINK_ROUTE, NetlinkSocket } from "../netlink/socket.js";
import { gone, within } from "../netns.js";
import type { Home } from "./home.js";

/** A pod's namespace while it is in use. */
interface Visit {
  readonly fd: number;
  readonly socket: NetlinkSocket;
  /** The number that the mesh namespace has for it, once somebody asked. */
  netnsId?: number | undefined;
}

/**
 * Sockets and the numbers of devices for one synchronous piece of work. A pod is entered once, however many steps concern it, and
 * nothing in it stays open afterwards: an open socket would keep a deleted pod's namespace alive.
 */
export class Session implements Disposable {
  readonly home: Home;
  readonly #visits = new Map<string, Visit>();
  readonly #indexes = new Map<string, number>();
  readonly #names = new Map<number, string>();

  constructor(home: Home) {
    this.home = home;
  }

  /** Throws "netns-gone" when the pod's namespace is not the one it was. */
  socket(where: Where): NetlinkSocket {
    return where === "mesh" ? this.home.meshSocket : this.#visit(where).socket;
  }

  /** A descriptor of the pod's namespace, good until the session ends. */
  descriptor(pod: Netns): number {
    return this.#visit(pod).fd;
  }

  /** The number that the mesh namespace has for the pod's; undefined when none of its devices leads there. */
  netnsId(pod: Netns): number | undefined {
    const visit = this.#visit(pod);
    visit.netnsId ??= netnsId(this.home.meshSocket, visit.fd);
    return visit.netnsId;
  }

  /** The number of a device, asked once. Not there: "not-found". */
  index(where: Where, device: string): number {
    const key = indexKey(where, device);
    const known = this.#indexes.get(key);
    if (known !== undefined) return known;
    const link = getLink(this.socket(where), device);
    if (link === undefined) {
      throw new MeshError("not-found", `there is no device ${device} in ${where === "mesh" ? "the mesh namespace" : where.path}`);
    }
    this.#indexes.set(key, link.index);
    return link.index;
  }

  /** The name of a device of the kernel's own namespace, asked once. */
  deviceName(index: number): string | undefined {
    const known = this.#names.get(index) ?? getLink(this.home.meshSocket, index)?.name;
    if (known !== undefined) this.#names.set(index, known);
    return known;
  }

  /** A device was found, made or renamed: it has this number from now on. */
  learnIndex(where: Where, device: string, index: number): void {
    this.#indexes.set(indexKey(where, device), index);
  }

  /** Runs `fn` inside a namespace, for what has no netlink: files of /proc/sys. */
  within<T>(where: Where, fn: () => T): T {
    return within(where === "mesh" ? this.home.mesh : where, fn);
  }

  [Symbol.dispose](): void {
    for (const visit of this.#visits.values()) leave(visit);
    this.#visits.clear();
  }

  #visit(pod: Netns): Visit {
    const known = this.#visits.get(pod.cookie);
    if (known !== undefined) return known;
    const visit = enter(pod);
    this.#visits.set(pod.cookie, visit);
    return visit;
  }
}

function indexKey(where: Where, device: string): string {
  return `${where === "mesh" ? "" : where.cookie} ${device}`;
}

function enter(pod: Netns): Visit {
  const fd = open(pod);
  try {
    const socket = socketAt(pod, fd);
    if (socket.cookie === pod.cookie) return { fd, socket };
    socket[Symbol.dispose]();
    throw gone(pod);
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

function open(pod: Netns): number {
  try {
    return fs.openSync(pod.path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  } catch (cause) {
    throw gone(pod, cause);
  }
}

function socketAt(pod: Netns, fd: number): NetlinkSocket {
  try {
    return within(`/proc/self/fd/${fd}`, () => new NetlinkSocket(NETLINK_ROUTE));
  } catch (cause) {
    if (cause instanceof MeshError && (cause.code === "invalid" || cause.code === "not-found")) throw gone(pod, cause);
    throw cause;
  }
}

function leave(visit: Visit): void {
  visit.socket[Symbol.dispose]();
  fs.closeSync(visit.fd);
}
