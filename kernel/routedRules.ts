import type { RuleText } from "./ruleText.js";

/**
 * A packet whose source does not lie behind the device that it came from is dropped. For IPv4 rp_filter does the same, and counts nothing.
 * What has a link-local source, or none, is for the namespace itself: it is never passed on. Dropping is a rule of its own, because a rule
 * ends where its counter finds no room.
 * TCP that opens through here is told of segments that fit the route on, and the one back; what asks for smaller ones is left alone.
 */
export const routedRules: RuleText = {
  family: "inet",
  table: "isthmus",
  sets: "set spoofed { type ifname; size 65535; flags dynamic,timeout; timeout 1d; }",
  chains: {
    spoofed: ["update @spoofed { iifname counter }", "drop"],
    prerouting: [
      "type filter hook prerouting priority raw; policy accept;",
      "iifname lo accept",
      "ip6 saddr { ::, fe80::/10 } accept",
      "fib saddr . iif oif missing goto spoofed",
    ],
    forward: ["type filter hook forward priority 0; policy accept;", "tcp flags syn tcp option maxseg size set rt mtu"],
  },
};
