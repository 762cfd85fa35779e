import { readdir, readFile, readlink, stat } from "node:fs/promises";
import { MeshError } from "../core/error.js";

/** `__SO_ACCEPTCON` of the kernel's net/unix: somebody listens on it. */
const listens = 0x10000;

interface Inode {
  readonly device: bigint;
  readonly number: bigint;
}

interface Process {
  readonly pid: string;
  readonly started: bigint;
}

/**
 * Turns NSM's `inode://DEV/INO` of a socket that somebody bound in a mount namespace of his own into a `unix://` URL that can be dialed
 * from here: the path as it is here, or through a process that sees it (`/proc/PID/root/PATH`). Any other URL stays as it is.
 * "not-found" where no listening socket has that inode, "invalid" for a URL that is none.
 */
export class SocketFinder {
  /** Found before; looked at again before it is believed. */
  readonly #known = new Map<string, string>();

  async resolve(url: string): Promise<string> {
    if (!url.startsWith("inode:")) return url;
    const inode = parseInode(url);
    const known = this.#known.get(url);
    if (known !== undefined && (await isAt(known, inode))) return `unix://${known}`;
    this.#known.delete(url);
    const path = await find(inode);
    if (path === undefined) {
      throw new MeshError(
        "not-found",
        `no socket that somebody listens on is behind ${url}; does this nsmgr see the host's processes (hostPID)? Else register with unix:///path or tcp://host:port`,
      );
    }
    this.#known.set(url, path);
    return `unix://${path}`;
  }
}

function parseInode(url: string): Inode {
  const parts = /^inode:\/\/(\d{1,20})\/(\d{1,20})$/.exec(url);
  if (parts === null) throw new MeshError("invalid", `a socket's inode is named by inode://DEV/INO in decimal numbers, got ${url}`);
  return { device: BigInt(parts[1] ?? 0), number: BigInt(parts[2] ?? 0) };
}

/** Looks through the eyes of one process for each pair of mount and network namespace: the oldest, as it stays longest. */
async function find(inode: Inode): Promise<string | undefined> {
  for (const { pid } of (await eyes()).values()) {
    for (const path of await listening(pid)) {
      if (!(await isAt(`/proc/${pid}/root${path}`, inode))) continue;
      return (await isAt(path, inode)) ? path : `/proc/${pid}/root${path}`;
    }
  }
  return undefined;
}

async function eyes(): Promise<Map<string, Process>> {
  const oldest = new Map<string, Process>();
  for (const pid of await readdir("/proc")) {
    const found = /^\d+$/.test(pid) ? await look(pid) : undefined;
    if (found === undefined) continue;
    const known = oldest.get(found.namespaces);
    if (known === undefined || found.started < known.started) oldest.set(found.namespaces, { pid, started: found.started });
  }
  return oldest;
}

/** Undefined for a process that ended meanwhile, or that lets nobody look. */
async function look(pid: string): Promise<{ namespaces: string; started: bigint } | undefined> {
  try {
    const namespaces = (await Promise.all(["mnt", "net"].map((kind) => readlink(`/proc/${pid}/ns/${kind}`)))).join(" ");
    const root = await readlink(`/proc/${pid}/root`);
    return { namespaces: `${namespaces} ${root}`, started: startTime(await readFile(`/proc/${pid}/stat`, "utf8")) };
  } catch {
    return undefined;
  }
}

/** The 22nd field of /proc/PID/stat; the second, a name in brackets, may have anything in it. */
function startTime(line: string): bigint {
  return BigInt(line.slice(line.lastIndexOf(")") + 2).split(" ")[19] ?? 0);
}

/** Paths of sockets of the process's network namespace that somebody listens on. */
async function listening(pid: string): Promise<string[]> {
  const table = await readFile(`/proc/${pid}/net/unix`, "utf8").catch(() => "");
  return table.split("\n").flatMap((line) => {
    // Num RefCount Protocol Flags Type St Inode Path
    const [, flags = "", path = ""] = /^\S+ \S+ \S+ (\S+) \S+ \S+ +\d+ (\/.*)$/.exec(line) ?? [];
    return (Number.parseInt(flags, 16) & listens) === 0 ? [] : [path];
  });
}

async function isAt(path: string, { device, number }: Inode): Promise<boolean> {
  try {
    const found = await stat(path, { bigint: true });
    return found.isSocket() && found.dev === device && found.ino === number;
  } catch {
    return false;
  }
}
