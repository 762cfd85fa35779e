import { MeshError } from "../core/error.js";
import type { Netns, SegmentLayer } from "./model.js";
import { within } from "./netns.js";
import { Nft } from "./nft.js";
import { type NftChain, NftElements, type NftSet } from "./nftElements.js";

const table = "isthmus";
const spoofed: NftSet = { table, set: "spoofed" };
const chains: readonly NftChain[] = ["prerouting", "spoofed"].map((chain) => ({ table, chain }));

/** The rules of a segment's namespace, which members' packets meet first. */
export interface SegmentRules extends Disposable {
  /** Makes the rules anew where somebody took them away or changed them. */
  mend(): void;
  /** Packets that were dropped because their source is not the member's, by port. One of which nothing was heard for a day is left out. */
  spoofed(): ReadonlyMap<string, number>;
}

/** Opens the rules of a segment's namespace, made where they are absent. */
export function openSegmentRules(netns: Netns, layer: SegmentLayer): SegmentRules {
  if (layer !== "l3") throw new MeshError("unsupported", "only segments of layer l3 can be made yet");
  const nft = new Nft(netns);
  nft.run(routed);
  const elements = within(netns, () => new NftElements());
  const now = (): Buffer => Buffer.concat(chains.map((chain) => elements.chain(chain)));
  const right = now();
  return {
    mend: () => {
      if (now().equals(right)) return;
      try {
        nft.run(routed);
      } catch {
        nft.run(`delete table inet ${table}\n${routed}`); // a chain of that name hangs elsewhere
      }
    },
    spoofed: () => new Map(elements.counts(spoofed).map(([key, packets]) => [deviceIn(key), packets])),
    [Symbol.dispose]: () => elements[Symbol.dispose](),
  };
}

/** An interface's name as nftables keeps it, in 16 bytes. */
function deviceIn(key: Buffer): string {
  return key.toString("utf8", 0, key.indexOf(0));
}

/**
 * A packet whose source does not lie behind the device that it came from is dropped. For IPv4 rp_filter does the same, and counts nothing.
 * What has a link-local source, or none, is for the namespace itself: it is never passed on. Dropping is a rule of its own, because a rule
 * ends where its counter finds no room.
 */
const routed = `
table inet ${table} {
  set ${spoofed.set} { type ifname; size 65535; flags dynamic,timeout; timeout 1d; }
  chain spoofed { }
  chain prerouting { type filter hook prerouting priority raw; policy accept; }
}
flush chain inet ${table} spoofed
flush chain inet ${table} prerouting
table inet ${table} {
  chain spoofed {
    update @${spoofed.set} { iifname counter }
    drop
  }
  chain prerouting {
    iifname lo accept
    ip6 saddr { ::, fe80::/10 } accept
    fib saddr . iif oif missing goto spoofed
  }
}`;
