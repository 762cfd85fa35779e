import fs from "node:fs";
import { openMesh } from "../mesh.js";
import type { Netns } from "../model.js";
import { NETLINK_ROUTE, NetlinkSocket } from "../netlink/socket.js";
import { within } from "../netns.js";

/** The namespaces that are ours for as long as the process lives, and a socket in each. */
export interface Home {
  readonly mesh: Netns;
  readonly meshSocket: NetlinkSocket;
  /** Holds the mesh namespace, to make devices in it from outside. */
  readonly meshFd: number;
  /** The node's own. */
  readonly nodeSocket: NetlinkSocket;
}

/** `mesh` is a name, made where it is absent; `node` is a path. */
export function openHome(meshName: string, node: string): Home {
  const mesh = openMesh(meshName);
  const open = (): NetlinkSocket => new NetlinkSocket(NETLINK_ROUTE);
  const meshSocket = within(mesh, open);
  return { mesh, meshSocket, meshFd: fs.openSync(mesh.path, "r"), nodeSocket: within(node, open) };
}

export function closeHome(home: Home): void {
  home.meshSocket[Symbol.dispose]();
  home.nodeSocket[Symbol.dispose]();
  fs.closeSync(home.meshFd);
}
