import { MeshError } from "../core/error.js";
import type { Netns } from "./model.js";
import { attribute, parseAttributes, parseNested, readU32 } from "./netlink/attributes.js";
import { familyOf, ipBytes } from "./netlink/ip.js";
import { getLink } from "./netlink/link.js";
import { NETLINK_ROUTE, NetlinkSocket } from "./netlink/socket.js";
import { within } from "./netns.js";
import { Nft } from "./nft.js";

const RTM_GETROUTE = 26;
const RTA_DST = 1;
const RTA_METRICS = 8;
const RTAX_MTU = 2;
const RTA_OIF = 4;
const rtmsg = 12;
const DF = 0x4000;
const table = "inet isthmus_probe";
const longest = 65_535;
// What a process that died forgot to take away ends by itself.
const longestSeconds = 5;
let users = 0;

/** Where a tunnel's own packets go, in the node's namespace. */
export interface Outside {
  readonly node: string | Netns;
  /** The other node's address. */
  readonly remote: string;
  /** Where WireGuard sends from. */
  readonly localPort: number;
}

/**
 * Runs `task`, for at most 5 s, while WireGuard's packets to a node bear "don't fragment" and none that this node would cut itself gets
 * out. WireGuard never asks for that, so a narrow way would go unnoticed, each large packet cut in two.
 */
export async function unfragmented<T>(outside: Outside, task: () => Promise<T>): Promise<T> {
  const nft = new Nft(outside.node);
  const family = ipBytes(outside.remote).length === 4 ? "4" : "6";
  const end = `${outside.remote} . ${outside.localPort}`;
  const whole = `element ${table} whole${family} { ${end}`;
  const long = `element ${table} long${family} { ${end} . ${pathMtu(outside) + 1}-${longest}`;
  const timeout = `timeout ${longestSeconds}s }`;
  users++;
  try {
    nft.run(`${ruleset}\nadd ${whole} ${timeout}\nadd ${long} ${timeout}`);
    return await task();
  } finally {
    nft.run(--users === 0 ? `delete table ${table}` : `delete ${whole} }\ndelete ${long} }`);
  }
}

const ruleset = `
table ${table} {
  set whole4 { type ipv4_addr . inet_service; flags timeout; }
  set whole6 { type ipv6_addr . inet_service; flags timeout; }
  set long4 { typeof ip daddr . udp sport . meta length; flags interval, timeout; }
  set long6 { typeof ip6 daddr . udp sport . meta length; flags interval, timeout; }
  chain out { type filter hook postrouting priority mangle; policy accept; }
}
flush chain ${table} out
add rule ${table} out ip daddr . udp sport . meta length @long4 drop
add rule ${table} out ip6 daddr . udp sport . meta length @long6 drop
add rule ${table} out ip daddr . udp sport @whole4 ip frag-off set ${DF}`;

/** What leaves the node in one packet to an address: what a router said lately, else the device's MTU. */
export function pathMtu({ node, remote }: Pick<Outside, "node" | "remote">): number {
  const bytes = ipBytes(remote);
  const header = Buffer.alloc(rtmsg);
  header.set([familyOf(bytes), bytes.length * 8]);
  const body = Buffer.concat([header, attribute(RTA_DST, bytes)]);
  return within(node, () => {
    using socket = new NetlinkSocket(NETLINK_ROUTE);
    const [answer = Buffer.alloc(rtmsg)] = socket.request({ what: `ask for the way to ${remote}`, type: RTM_GETROUTE, body });
    const route = parseAttributes(answer.subarray(rtmsg));
    const mtu = readU32(parseNested(route, RTA_METRICS), RTAX_MTU) ?? getLink(socket, readU32(route, RTA_OIF) ?? 0)?.mtu;
    if (mtu === undefined) throw new MeshError("unreachable", `the node knows no way to ${remote}`);
    return mtu;
  });
}
