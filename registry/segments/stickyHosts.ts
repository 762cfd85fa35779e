import type { Segment } from "../../api/gen/isthmus/v1/segment.js";
import { MeshError } from "../../core/error.js";
import { formatAddress } from "../../core/ipam/address.js";
import { contains, formatPrefix, isHost, type Prefix, parsePrefix } from "../../core/ipam/prefix.js";
import { choose, type Given } from "../../core/segment/choose.js";
import { freeHost, isEdge } from "../../core/segment/host.js";

/** Before the name, as the owner of its addresses. */
const stickyOwner = "sticky/";

/** Whether who owns an address is a name, and no node. */
export function isStickyOwner(owner: string): boolean {
  return owner.startsWith(stickyOwner);
}

interface Asked {
  readonly segment: Segment;
  /** The segment's home, whose part names have their addresses from. */
  readonly site: string;
  readonly name: string;
  readonly wishes: readonly string[];
  /** All that is given of the site's part. */
  readonly given: readonly Given[];
}

/** One address of each of the segment's prefixes, the wished one or any that is free, as what the name has. Throws as `choose` does. */
export function hostsFor(asked: Asked): Given[] {
  const { segment, site, name, given } = asked;
  const wishes = wishesIn(asked);
  const parts = segment.siteBlocks.find((blocks) => blocks.site === site)?.prefixes ?? [];
  const whose = { owner: stickyOwner + name, holder: `the sticky name ${name}` };
  return segment.prefixes.map((text, at) => {
    const [whole, from] = [parsePrefix(text), { site, prefix: parsePrefix(parts[at] ?? "") }];
    const wish = wishes.find((one) => contains(whole, one));
    const about = { segment: segment.name, from, given, exclude: segment.exclude.map(parsePrefix) };
    if (wish === undefined) return { ...whose, prefix: freeHost({ ...about, whole }) };
    if (isEdge(whole, wish))
      throw new MeshError(
        "invalid",
        `${addressOf(wish)} is the network's own or its broadcast address in the segment ${segment.name}; choose another`,
      );
    return { ...whose, prefix: choose({ ...about, ...whose, prefix: wish }).prefix };
  });
}

/** Throws "exists" where a name that has these addresses is to have another. */
export function mustHave({ name, segment, wishes }: Pick<Asked, "name" | "wishes" | "segment">, addresses: readonly string[]): void {
  const other = wishesIn({ segment, wishes })
    .map(addressOf)
    .find((wish) => !addresses.includes(wish));
  if (other === undefined) return;
  throw new MeshError(
    "exists",
    `the sticky name ${name} of the segment ${segment.name} has ${addresses.join(" and ") || "no address"}; join by it without ${other}, or for that one by another name`,
  );
}

/** Without length. */
export function addressOf({ family, first }: Prefix): string {
  return formatAddress(family, first);
}

function wishesIn({ segment, wishes }: Pick<Asked, "segment" | "wishes">): Prefix[] {
  const { name, prefixes } = segment;
  const wished = wishes.map(parsePrefix);
  for (const [at, one] of wished.entries()) {
    if (!isHost(one) || !prefixes.some((prefix) => contains(parsePrefix(prefix), one)))
      throw new MeshError("invalid", `${wishes[at]} is no address of the segment ${name}, which has ${prefixes.join(" and ") || "none"}`);
    const other = wished.slice(0, at).find(({ family }) => family === one.family);
    if (other !== undefined)
      throw new MeshError("invalid", `a sticky name has one address of each family, got ${formatPrefix(other)} and ${formatPrefix(one)}`);
  }
  return wished;
}
