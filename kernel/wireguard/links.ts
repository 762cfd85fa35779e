import fs from "node:fs";
import { MeshError } from "../../core/error.js";
import { nested, text, u32 } from "../netlink/attributes.js";
import { changeLink, deleteLink, dumpLinks, getLink, type Link, RTM_NEWLINK } from "../netlink/link.js";
import { NLM_F_CREATE, NLM_F_EXCL } from "../netlink/message.js";
import { NETLINK_ROUTE, NetlinkSocket } from "../netlink/socket.js";
import { within } from "../netns.js";

const IFLA_IFNAME = 3;
const IFLA_LINKINFO = 18;
const IFLA_NET_NS_FD = 28;
const IFLA_INFO_KIND = 1;
const ifinfomsg = 16;

/** The devices of the mesh namespace, and the way into it from the node's. */
export class MeshLinks implements Disposable {
  readonly #mesh: string;
  readonly #inside: NetlinkSocket;
  readonly #node: NetlinkSocket;

  /** Both are paths. */
  constructor(parts: { readonly mesh: string; readonly node: string }) {
    this.#mesh = parts.mesh;
    this.#inside = within(parts.mesh, () => new NetlinkSocket(NETLINK_ROUTE));
    this.#node = within(parts.node, () => new NetlinkSocket(NETLINK_ROUTE));
  }

  find(name: string): Link | undefined {
    return getLink(this.#inside, name);
  }

  withAlias(prefix: string): Link[] {
    return dumpLinks(this.#inside).filter(({ alias }) => alias.startsWith(prefix));
  }

  /** Whether it is in the mesh namespace, or still in the node's. */
  has(name: string): boolean {
    return this.find(name) !== undefined || getLink(this.#node, name) !== undefined;
  }

  /** Makes a kernel WireGuard device, born in the mesh namespace with its UDP socket in the node's. */
  createWireguard(name: string): void {
    this.#withMesh((mesh) => {
      const attributes = [text(IFLA_IFNAME, name), u32(IFLA_NET_NS_FD, mesh), nested(IFLA_LINKINFO, text(IFLA_INFO_KIND, "wireguard"))];
      const body = Buffer.concat([Buffer.alloc(ifinfomsg), ...attributes]);
      this.#node.request({ what: `create the WireGuard device ${name}`, type: RTM_NEWLINK, flags: NLM_F_CREATE | NLM_F_EXCL, body });
    });
  }

  /** Moves a device from the node's namespace into the mesh namespace; false when the node has none of that name. */
  bringIn(name: string): boolean {
    const link = getLink(this.#node, name);
    if (link === undefined) return false;
    this.#withMesh((mesh) => this.#node.request(changeLink(`move ${name} into the mesh namespace`, link.index, { netns: mesh })));
    return true;
  }

  /** Gives a device its alias and MTU and sets it up. */
  configure(name: string, { alias, mtu }: { readonly alias: string; readonly mtu: number }): void {
    const link = this.find(name);
    if (link === undefined) throw new MeshError("not-found", `the WireGuard device ${name} is not in the mesh namespace`);
    if (link.up && link.alias === alias && link.mtu === mtu) return;
    this.#inside.request(changeLink(`configure the WireGuard device ${name}`, link.index, { alias, mtu, up: true }));
  }

  /** Not there: nothing to do. */
  remove(name: string): void {
    const link = this.find(name);
    if (link !== undefined) this.#inside.request(deleteLink(`delete the WireGuard device ${name}`, link.index));
  }

  [Symbol.dispose](): void {
    this.#inside[Symbol.dispose]();
    this.#node[Symbol.dispose]();
  }

  #withMesh(use: (fd: number) => void): void {
    const fd = fs.openSync(this.#mesh, "r");
    try {
      use(fd);
    } finally {
      fs.closeSync(fd);
    }
  }
}
