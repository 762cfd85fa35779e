import { MeshError } from "../core/error.js";
import { loadRedirect, type Target } from "./bpf.js";
import { close } from "./ffi/file.js";
import { errnoOf } from "./ffi/system.js";
import { addClsact, deleteFilter, dumpFilters, type FoundFilter, setBpfFilter, setMirredFilter } from "./netlink/filter.js";
import type { NetlinkSocket } from "./netlink/socket.js";

/** How packets are passed on: by eBPF programs, or by u32 and mirred where the kernel has no `bpf_redirect_peer`. */
export type RedirectMode = "bpf" | "tc";

/** "auto" takes bpf wherever a program with `bpf_redirect_peer` can be loaded (Linux 5.10, and bpf(2) allowed). */
export function chooseRedirects(wanted: RedirectMode | "auto"): RedirectMode {
  if (wanted !== "auto") return wanted;
  try {
    close(loadRedirect({ index: 1, by: "peer" }));
    return "bpf";
  } catch (error) {
    if (error instanceof MeshError && (error.code === "unsupported" || errnoOf(error) !== undefined)) return "tc";
    throw error;
  }
}

/** Makes everything that comes in on device `from` go to the target, in place of what was. */
export function setRedirect(socket: NetlinkSocket, what: string, from: number, target: Target, mode: RedirectMode): void {
  if (mode === "bpf") withProgram(target, (fd) => attach(socket, from, setBpfFilter(what, from, { fd, name: programName(target) })));
  else attach(socket, from, setMirredFilter(what, from, target.index, mirredCookie(target)));
}

/** Nothing there: nothing to do. */
export function removeRedirect(socket: NetlinkSocket, what: string, from: number): void {
  try {
    socket.request(deleteFilter(what, from));
  } catch (error) {
    if (!["ENOENT", "EINVAL", "ENODEV"].includes(errnoOf(error) ?? "")) throw error;
  }
}

/** Where device `from` sends what comes in; undefined when nothing of ours is attached. */
export function findRedirect(socket: NetlinkSocket, from: number): Target | undefined {
  return dumpFilters(socket, from)
    .map(targetOf)
    .find((target) => target !== undefined);
}

function withProgram(target: Target, use: (fd: number) => void): void {
  const fd = loadRedirect(target);
  try {
    use(fd);
  } finally {
    close(fd); // the filter holds it now
  }
}

function attach(socket: NetlinkSocket, from: number, request: ReturnType<typeof setBpfFilter>): void {
  const [qdisc, filter] = socket.batch([addClsact(request.what, from), request]);
  if (!(filter instanceof MeshError)) return;
  if (qdisc instanceof MeshError && errnoOf(qdisc) !== "EEXIST") throw qdisc;
  // A filter of the other mode, or of somebody else, is in the place.
  removeRedirect(socket, request.what, from);
  socket.request(request);
}

const byPeer = "isthmus peer";
const byDevice = "isthmus device";

/** The name says what the program does, so that it can be read back: no pod can write it. */
function programName(target: Target): string {
  const start = `${target.by === "peer" ? byPeer : byDevice} ${target.index}`;
  return target.ethernet === undefined ? start : `${start} ethernet ${target.ethernet.destination} ${target.ethernet.source}`;
}

function mirredCookie(target: Target): string {
  if (target.ethernet !== undefined) {
    throw new MeshError(
      "unsupported",
      "without eBPF a device that has no Ethernet header (WireGuard) cannot be joined to a port; use Linux 5.10 or newer and allow bpf(2), or the mechanism NODE_TUNNEL",
    );
  }
  return target.by === "peer" ? byPeer : byDevice;
}

function targetOf(filter: FoundFilter): Target | undefined {
  if (filter.kind === "u32") {
    if (filter.cookie === byPeer) return { index: filter.target, by: "peer" };
    return filter.cookie === byDevice ? { index: filter.target, by: "device" } : undefined;
  }
  if (filter.kind !== "bpf") return undefined;
  const match = /^isthmus (peer|device) (\d+)(?: ethernet (\S+) (\S+))?$/.exec(filter.name);
  if (match === null) return undefined;
  const [, by, index, destination, source] = match;
  return {
    index: Number(index),
    by: by === "peer" ? "peer" : "device",
    ...(destination === undefined || source === undefined ? {} : { ethernet: { destination, source } }),
  };
}
