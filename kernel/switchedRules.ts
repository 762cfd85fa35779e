import type { RuleText } from "./ruleText.js";

/** More broadcast and multicast than this a port may not send: so many packets a second, after so many at once. */
export const floodLimit = { perSecond: 1000, burst: 2000 } as const;

/**
 * From so many MAC addresses a port may send that bridges for others: at first, and so many more each minute. The bridge forgets one that is
 * silent for five minutes. So nobody fills a node's table.
 */
export const behindLimit = { burst: 64, perMinute: 12 } as const;

const toOne = "ether daddr & 01:00:00:00:00:00 == 00:00:00:00:00:00";
const toMany = "ether daddr & 01:00:00:00:00:00 == 01:00:00:00:00:00";
const toAnotherNode = 'meta oifkind "vxlan"';
const solicitation = "icmpv6 type nd-neighbor-solicit";
const discovery = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert }";

/**
 * What members may send, by port. Frames of a port that no guard is for are dropped, and so is what cannot be read. The sets have keys of
 * raw bytes where they are compared with fields that nftables has no name for: in neighbour discovery the target, and the link-layer address
 * in the one option that is allowed. A VLAN tag would hide all that from the rules, VLAN 0 too.
 * What only routers and queriers say, members may not.
 * TCP that opens through the bridge is told of segments that fit, for nobody else would tell it; what asks for smaller ones is left alone.
 * What other nodes send was checked there. The namespace's own addresses are the same on every node, so questions for them stay here.
 */
export const switchedRules: RuleText = {
  family: "bridge",
  table: "isthmus",
  sets: `
  map guards { type ifname : ipv6_addr; }
  set open { type ifname; }
  set macs { typeof iifname . @ll,48,48; }
  set addresses4 { type ifname . ipv4_addr; }
  set addresses6 { typeof iifname . @nh,64,128; }
  map sizes { typeof meta protocol : tcp option maxseg size; }
  set behind { type ifname . ether_addr; size 65535; flags dynamic,timeout; timeout 5m; }
  set newcomers { type ifname; size 65535; flags dynamic,timeout; timeout 1h; }
  set rates { type ifname; size 65535; flags dynamic,timeout; timeout 1m; }
  set spoofed { type ifname; size 65535; flags dynamic,timeout; timeout 1d; }
  set flooded { type ifname; size 65535; flags dynamic,timeout; timeout 1d; }`,
  chains: {
    spoofed: ["update @spoofed { iifname counter }", "drop"],
    flooded: ["update @flooded { iifname counter }", "drop"],
    limited: [
      `${toOne} accept`,
      `update @rates { iifname limit rate over ${floodLimit.perSecond}/second burst ${floodLimit.burst} packets } goto flooded`,
      "accept",
    ],
    others: [
      "iifname . @ll,48,48 @macs goto limited",
      "iifname . ether saddr @behind update @behind { iifname . ether saddr } goto limited",
      `update @newcomers { iifname limit rate over ${behindLimit.perMinute}/minute burst ${behindLimit.burst} packets } goto spoofed`,
      "update @behind { iifname . ether saddr } goto limited",
      "goto spoofed",
    ],
    ofarp: [
      "iifname . @nh,64,48 != @macs goto spoofed",
      "arp operation request arp saddr ip 0.0.0.0 goto limited",
      "iifname . arp saddr ip @addresses4 goto limited",
      "goto spoofed",
    ],
    of4: [
      "igmp type membership-query goto spoofed",
      `ip saddr 0.0.0.0 ${toMany} goto limited`,
      "iifname . ip saddr @addresses4 goto limited",
      "goto spoofed",
    ],
    of6: [`ip6 saddr :: ${toMany} goto ofnd`, "iifname . @nh,64,128 @addresses6 goto ofnd", "goto spoofed"],
    ofnd: [
      "icmpv6 type { nd-router-advert, nd-redirect, mld-listener-query } goto spoofed",
      "icmpv6 type nd-neighbor-advert iifname . @th,64,128 != @addresses6 goto spoofed",
      `ip6 saddr :: ${solicitation} iifname . @th,64,128 != @addresses6 goto spoofed`,
      `${discovery} ip6 length > 32 goto spoofed`,
      `${discovery} @th,192,16 { 0x0101, 0x0201 } iifname . @th,208,48 != @macs goto spoofed`,
      "goto limited",
    ],
    prerouting: [
      "type filter hook prerouting priority -300; policy accept;",
      'meta iifkind "vxlan" accept',
      "iifname @open goto others",
      "ether type { 8021q, 8021ad } goto spoofed",
      "iifname . @ll,48,48 != @macs goto spoofed",
      "ether type arp goto ofarp",
      "ether type ip goto of4",
      "ether type ip6 goto of6",
      "goto limited",
    ],
    forward: [
      "type filter hook forward priority 0; policy accept;",
      "tcp flags syn tcp option maxseg size set meta protocol map @sizes",
      `${toAnotherNode} arp daddr ip 169.254.1.1 drop`,
      `${toAnotherNode} ${solicitation} @th,64,128 0xfe800000000000000000000000000001 drop`,
    ],
  },
};
