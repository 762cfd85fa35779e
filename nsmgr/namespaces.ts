import { type Stats, statfsSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Clock } from "../core/clock.js";
import { MeshError } from "../core/error.js";
import type { Log } from "../core/log.js";

/** NSFS_MAGIC of linux/magic.h: what a file that is a namespace reports as its file system. */
const nsfs = 0x6e736673;
const pollMs = 500;

/** How nsmgr sees pods' network namespaces: by name only, it never enters one. */
export interface Namespaces {
  /** The identity of the namespace at this file:// URL. MeshError "invalid" when there is none. */
  identify(url: string): string;
  /** The identity of what is there now, undefined when nothing is. Never throws. */
  look(url: string): string | undefined;
}

/** The namespaces of this machine. An identity is device and inode, which can be used again: a change proves, sameness does not. */
export const realNamespaces: Namespaces = {
  identify(url) {
    const path = netnsPath(url);
    const found = statIfThere(path);
    if (found === undefined) throw new MeshError("invalid", `there is no network namespace at ${path}; is the pod still there?`);
    if (!isNamespace(path))
      throw new MeshError("invalid", `${path} is not a network namespace; name one, such as /run/netns/NAME or /proc/PID/ns/net`);
    return identity(found);
  },
  look(url) {
    try {
      const path = netnsPath(url);
      const found = statIfThere(path);
      return found !== undefined && isNamespace(path) ? identity(found) : undefined;
    } catch {
      return undefined;
    }
  },
};

/** The path in a file:// URL of a network namespace. MeshError "invalid" for anything else. */
export function netnsPath(url: string): string {
  if (!url.startsWith("file:///") || url.includes("\0"))
    throw new MeshError(
      "invalid",
      `the network namespace "${url}" must be a URL such as file:///run/netns/NAME or file:///proc/PID/ns/net`,
    );
  try {
    return fileURLToPath(url);
  } catch (cause) {
    throw new MeshError("invalid", `the network namespace "${url}" is no valid file:// URL`, { cause });
  }
}

function statIfThere(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined; // ENOTDIR, EACCES: for us it is not there
  }
}

function isNamespace(path: string): boolean {
  return statfsSync(path).type === nsfs;
}

function identity(found: Stats): string {
  return `${found.dev}:${found.ino}`;
}

interface Watched {
  readonly url: string;
  readonly identity: string;
  readonly onGone: () => void;
}

/** Tells when a network namespace is gone: one shared look every 500 ms at each path, however many watch it. */
export class NamespaceWatch implements Disposable {
  readonly #namespaces: Namespaces;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #watched = new Set<Watched>();
  #timer: Disposable | undefined;

  constructor(parts: { readonly namespaces: Namespaces; readonly clock: Clock; readonly log: Log }) {
    this.#namespaces = parts.namespaces;
    this.#clock = parts.clock;
    this.#log = parts.log;
  }

  /** Calls `onGone` once when `url` no longer leads to the namespace of that identity; dispose to forget it. */
  add(url: string, identity: string, onGone: () => void): Disposable {
    const watched = { url, identity, onGone };
    this.#watched.add(watched);
    this.#timer ??= this.#clock.after(pollMs, () => this.#poll());
    return { [Symbol.dispose]: () => void this.#watched.delete(watched) };
  }

  #poll(): void {
    const seen = new Map<string, string | undefined>();
    for (const watched of [...this.#watched]) {
      if (!seen.has(watched.url)) seen.set(watched.url, this.#namespaces.look(watched.url));
      if (seen.get(watched.url) === watched.identity) continue;
      this.#watched.delete(watched);
      this.#log.info("network namespace gone", { url: watched.url });
      watched.onGone();
    }
    this.#timer = this.#watched.size > 0 ? this.#clock.after(pollMs, () => this.#poll()) : undefined;
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#watched.clear();
  }
}
