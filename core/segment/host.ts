import { MeshError } from "../error.js";
import { rangesMeet, widthOf } from "../ipam/address.js";
import { contains, edgesOf, formatPrefix, isHost, numberAt, type Prefix, part } from "../ipam/prefix.js";
import { Ranges, type Span } from "../ipam/ranges.js";
import type { Choosing } from "./choose.js";
import { nodeLength } from "./cut.js";

export interface ChoosingHost extends Pick<Choosing, "segment" | "from" | "given" | "exclude"> {
  /** The segment's own prefix: its first address and its broadcast address are nobody's. */
  readonly whole: Prefix;
}

/**
 * An address that nobody has, outside every block. Blocks are given from below; so this comes from the uppermost place of a block where
 * there is room, and of that it is the lowest. Throws "exhausted".
 */
export function freeHost(asked: ChoosingHost): Prefix {
  const { prefix } = asked.from;
  const host = (value: bigint) => part(prefix, widthOf(prefix.family), value - prefix.first);
  const taken = takenIn(asked);
  let odd: bigint | undefined;
  for (;;) {
    const highest = highestOutside(taken, prefix);
    if (highest === undefined) break;
    const place = part(prefix, nodeLength(prefix), numberAt(prefix, nodeLength(prefix), highest));
    const free = inside(place).lowestOutside(taken);
    if (free !== undefined) return host(free);
    odd ??= highest;
    taken.add(place);
  }
  if (odd !== undefined) return host(odd);
  throw full(asked);
}

/** Whether an address is the segment's network's own or its broadcast address. */
export function isEdge(whole: Prefix, { first }: Prefix): boolean {
  return edgesOf(whole).includes(first);
}

function takenIn({ from: { prefix }, given, exclude, whole }: ChoosingHost): Ranges {
  const taken = new Ranges();
  for (const one of [...given.map((block) => block.prefix), ...exclude])
    if (contains(one, prefix)) taken.add(prefix);
    else if (contains(prefix, one)) taken.add(one);
  for (const value of edgesOf(whole)) if (prefix.first <= value && value <= prefix.last) taken.add({ first: value, last: value });
  return taken;
}

/** All but what looks as if it were a network's own, which nobody gets while there are others. */
function inside(place: Prefix): Ranges {
  const all = new Ranges();
  all.add(place);
  for (const edge of edgesOf(place)) all.remove(edge);
  return all;
}

function highestOutside(taken: Ranges, { first, last }: Span): bigint | undefined {
  let highest = last;
  for (const span of [...taken.spans()].reverse()) {
    if (span.last < highest) break;
    highest = span.first - 1n;
  }
  return highest < first ? undefined : highest;
}

function full({ segment, from, given, exclude }: ChoosingHost): MeshError {
  const here = given.filter(({ prefix }) => contains(from.prefix, prefix));
  const hosts = here.filter(({ prefix }) => isHost(prefix)).length;
  const excluded = exclude.some((one) => rangesMeet(one, from.prefix)) ? ", besides what is excluded" : "";
  return new MeshError(
    "exhausted",
    `${formatPrefix(from.prefix)}, what ${from.site} gives out of the segment ${segment}, is used up: ${here.length - hosts} blocks are given to nodes and ${hosts} single addresses${excluded}`,
  );
}
