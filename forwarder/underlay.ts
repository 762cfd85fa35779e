import { MeshError } from "../core/error.js";
import { dumpAddresses } from "../kernel/netlink/address.js";
import { dumpLinks, type Link } from "../kernel/netlink/link.js";
import { NETLINK_ROUTE, NetlinkSocket } from "../kernel/netlink/socket.js";
import { host, isV6 } from "./addresses.js";
import type { Underlay } from "./mechanisms/ends.js";

/** The node's end of all tunnels: the address that was configured, or the first that is up, IPv4 before IPv6. */
export function findUnderlay(configured: string, wireguard: Underlay["wireguard"]): Underlay {
  using socket = new NetlinkSocket(NETLINK_ROUTE);
  const links = new Map(dumpLinks(socket).map((link): [number, Link] => [link.index, link]));
  const ends = dumpAddresses(socket, 0).flatMap(({ index, address }) => {
    const link = links.get(index);
    return link?.up ? [{ ip: host(address), mtu: link.mtu, link: link.name }] : [];
  });
  const found = configured === "" ? first(ends) : ends.find(({ ip }) => ip === configured);
  if (found !== undefined) return { ip: found.ip, mtu: found.mtu, wireguard };
  const known = ends.map(({ ip, link }) => `${ip} (${link})`).join(", ") || "none";
  throw new MeshError(
    "invalid",
    `NSM_TUNNEL_IP must be an address of this node that others reach, got ${JSON.stringify(configured)}; there are ${known}`,
  );
}

function first<E extends { readonly ip: string; readonly link: string }>(ends: readonly E[]): E | undefined {
  const usable = ends.filter(({ ip, link }) => link !== "lo" && !/^(127\.|169\.254\.|::1$|fe80:)/.test(ip));
  return usable.find(({ ip }) => !isV6(ip)) ?? usable[0];
}
