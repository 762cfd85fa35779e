import fs from "node:fs";
import { openMesh } from "../mesh.js";
import type { Netns, SegmentLayer } from "../model.js";
import { NETLINK_ROUTE, NetlinkSocket } from "../netlink/socket.js";
import { within } from "../netns.js";
import { openSegmentNetns } from "../segment.js";

/** The namespaces that are ours for as long as the process lives, and a socket in each. */
export interface Home {
  readonly mesh: Netns;
  readonly meshSocket: NetlinkSocket;
  /** Holds the mesh namespace, to make devices in it from outside. */
  readonly meshFd: number;
  /** The node's own. */
  readonly nodeSocket: NetlinkSocket;
  /** What the first is, if it is not the mesh but a segment: then its devices bear routes, neighbours and addresses. */
  readonly segment: SegmentLayer | undefined;
}

/** `name` is that of the kernel's own namespace, made where it is absent; `node` is a path. */
export function openHome(name: string, node: string, segment?: SegmentLayer): Home {
  const mesh = segment === undefined ? openMesh(name) : openSegmentNetns(name, segment);
  const open = (): NetlinkSocket => new NetlinkSocket(NETLINK_ROUTE);
  const meshSocket = within(mesh, open);
  return { mesh, meshSocket, meshFd: fs.openSync(mesh.path, "r"), nodeSocket: within(node, open), segment };
}

export function closeHome(home: Home): void {
  home.meshSocket[Symbol.dispose]();
  home.nodeSocket[Symbol.dispose]();
  fs.closeSync(home.meshFd);
}
