import { nested, text, u32 } from "../../kernel/netlink/attributes.js";
import { RTM_NEWLINK } from "../../kernel/netlink/link.js";
import { NLM_F_CREATE, NLM_F_EXCL, type Request } from "../../kernel/netlink/message.js";

// Bridges, which only a lab makes.

const IFLA_IFNAME = 3;
const IFLA_MASTER = 10;
const IFLA_LINKINFO = 18;
const IFLA_INFO_KIND = 1;
const LINK_HEADER = 16;

/** A new bridge, down. */
export function createBridge(name: string): Request {
  const body = [Buffer.alloc(LINK_HEADER), text(IFLA_IFNAME, name), nested(IFLA_LINKINFO, text(IFLA_INFO_KIND, "bridge"))];
  return { what: `create the bridge ${name}`, type: RTM_NEWLINK, flags: NLM_F_CREATE | NLM_F_EXCL, body: Buffer.concat(body) };
}

/** Makes a device a port of the bridge with that index. */
export function joinBridge(name: string, bridge: number): Request {
  const body = [Buffer.alloc(LINK_HEADER), text(IFLA_IFNAME, name), u32(IFLA_MASTER, bridge)];
  return { what: `make ${name} a port of a bridge`, type: RTM_NEWLINK, body: Buffer.concat(body) };
}
