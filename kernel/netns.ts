import fs from "node:fs";
import path from "node:path";
import { MeshError } from "../core/error.js";
import { CLONE_NEWNET, close, MNT_DETACH, MS_BIND, MS_REC, MS_SHARED, mount, setns, unmount, unshare } from "./ffi/file.js";
import { AF_INET, getOption, SO_NETNS_COOKIE, SOCK_DGRAM, SOL_SOCKET, socket } from "./ffi/socket.js";
import { errnoOf } from "./ffi/system.js";
import type { Netns } from "./model.js";
import { findByInode } from "./netnsInode.js";

export type { Netns } from "./model.js";

const folder = "/run/netns";

/** The namespace of this thread, by a path that is right in every thread. */
export const ownNetns = "/proc/thread-self/ns/net";

/** Where a named namespace is mounted. */
export function netnsPath(name: string): string {
  return path.join(folder, name);
}

/** The namespace at that path and its cookie. Not there: "not-found"; something else: "invalid". */
export function openNetns(where: string): Netns {
  return { path: where, cookie: within(where, ownCookie) };
}

/** The namespace of a mechanism's `inodeURL`: `file:///run/netns/NAME`, `file:///proc/PID/ns/net`, or NSM's `inode://DEV/INODE`. */
export function resolveNetns(url: string): Netns {
  const file = /^file:\/\/(\/.+)$/.exec(url)?.[1];
  if (file !== undefined) return openNetns(decoded(file, url));
  const inode = /^inode:\/\/(\d+)\/(\d+)$/.exec(url);
  if (inode !== null) return openNetns(findByInode(folder, Number(inode[1]), Number(inode[2])));
  throw new MeshError("invalid", `a network namespace is named by file:///PATH or inode://DEV/INODE, got ${url}`);
}

/**
 * Runs `fn` in a network namespace, on this thread, and comes back. `fn` is synchronous: an await inside would leave every
 * other task of the process in the wrong namespace. A `Netns` whose cookie is another one now is "netns-gone".
 */
export function within<T>(where: string | Netns, fn: () => T): T {
  const target = openPath(where);
  try {
    return inside(target, where, () => {
      if (typeof where !== "string" && ownCookie() !== where.cookie) throw gone(where);
      return fn();
    });
  } finally {
    fs.closeSync(target);
  }
}

/** Makes a named namespace, mounted where `ip netns` looks for it. There already: "exists". */
export function createNetns(name: string): Netns {
  const target = namedPath(name);
  prepareFolder();
  try {
    fs.closeSync(fs.openSync(target, "wx", 0o444));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
    throw new MeshError("exists", `a network namespace ${name} exists already at ${target}`, { cause });
  }
  try {
    return { path: target, cookie: mountNew(target) };
  } catch (error) {
    fs.rmSync(target, { force: true });
    throw error;
  }
}

/** Takes the name away; the namespace ends with its last process and socket. Fine to call twice. */
export function removeNetns(name: string): void {
  const target = namedPath(name);
  for (;;) {
    try {
      unmount(target, MNT_DETACH);
    } catch (error) {
      if (errnoOf(error) === "EINVAL" || errnoOf(error) === "ENOENT") break; // no mount is left
      throw error;
    }
  }
  fs.rmSync(target, { force: true });
}

/** Whether the path still leads to the very same namespace. */
export function netnsExists(netns: Netns): boolean {
  try {
    return within(netns, () => true);
  } catch (error) {
    if (error instanceof MeshError && error.code === "netns-gone") return false;
    throw error;
  }
}

/** Two paths may lead to one namespace. */
export function sameNetns(a: Netns, b: Netns): boolean {
  return a.cookie === b.cookie;
}

/** The cookie of the namespace that a socket belongs to, in decimal. */
export function socketCookie(fd: number): string {
  return getOption(fd, SOL_SOCKET, SO_NETNS_COOKIE, 8).readBigUInt64LE().toString();
}

/** "netns-gone" for a namespace that was there before. */
export function gone(netns: Netns, cause?: unknown): MeshError {
  return new MeshError("netns-gone", `the network namespace at ${netns.path} is gone; its connections end with it`, { cause });
}

function ownCookie(): string {
  const fd = socket(AF_INET, SOCK_DGRAM, 0);
  try {
    return socketCookie(fd);
  } finally {
    close(fd);
  }
}

function openPath(where: string | Netns): number {
  const file = typeof where === "string" ? where : where.path;
  try {
    // A path may come from a user; a FIFO must not hang us.
    return fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? "";
    if (code === "EACCES" || code === "EPERM") throw new MeshError("denied", `${file} may not be opened (${code}); run as root`, { cause });
    if (typeof where !== "string") throw gone(where, cause);
    throw new MeshError("not-found", `there is no network namespace at ${file} (${code})`, { cause });
  }
}

function inside<T>(target: number, where: string | Netns, fn: () => T): T {
  return away(() => {
    enter(target, where);
    const result = fn();
    if (result instanceof Promise) throw new MeshError("internal", "within() was given an asynchronous function");
    return result;
  });
}

/** Comes back to the namespace of now, wherever `fn` goes. */
function away<T>(fn: () => T): T {
  const back = fs.openSync(ownNetns, "r");
  try {
    return fn();
  } finally {
    leave(back);
    fs.closeSync(back);
  }
}

function enter(target: number, where: string | Netns): void {
  try {
    setns(target, CLONE_NEWNET);
  } catch (cause) {
    if (errnoOf(cause) !== "EINVAL" && errnoOf(cause) !== "EBADF") throw cause;
    if (typeof where !== "string") throw gone(where, cause);
    throw new MeshError("invalid", `${where} is not a network namespace`, { cause });
  }
}

function leave(back: number): void {
  try {
    setns(back, CLONE_NEWNET);
  } catch {
    process.abort(); // every further step of this process would happen in somebody else's namespace
  }
}

function mountNew(target: string): string {
  return away(() => {
    unshare(CLONE_NEWNET);
    mount(ownNetns, target, "none", MS_BIND);
    return ownCookie();
  });
}

function prepareFolder(): void {
  fs.mkdirSync(folder, { recursive: true, mode: 0o755 });
  // Shared, so that a name taken away here is taken away in every mount namespace that copied it.
  try {
    mount("", folder, "none", MS_SHARED | MS_REC);
  } catch (error) {
    if (errnoOf(error) !== "EINVAL") throw error;
    mount(folder, folder, "none", MS_BIND | MS_REC);
    mount("", folder, "none", MS_SHARED | MS_REC);
  }
}

function namedPath(name: string): string {
  if (!/^[A-Za-z0-9._-]{1,200}$/.test(name) || name.startsWith(".")) {
    throw new MeshError(
      "invalid",
      `the name of a network namespace is made of letters, digits, dots and dashes, got ${JSON.stringify(name)}`,
    );
  }
  return netnsPath(name);
}

function decoded(file: string, url: string): string {
  try {
    return decodeURIComponent(file);
  } catch (cause) {
    throw new MeshError("invalid", `${url} is not a valid URL`, { cause });
  }
}
