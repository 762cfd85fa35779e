import { MeshError } from "../error.js";
import { contains, formatPrefix, numberAt, type Prefix, partsOf } from "../ipam/prefix.js";
import { Ranges } from "../ipam/ranges.js";
import type { Choosing } from "./choose.js";
import { nodeLength } from "./cut.js";

/** Of what a site gives out, such a part is never one node's. */
const leftToOthers = 8n;

/**
 * Throws "exhausted" where a node would have more than seven eighths of its site's blocks with this one, or all but one of a few: the others
 * could have none. A single address counts as the block that it is in, which is nobody else's from then on.
 */
export function mustLeaveRoom({ segment, from, given, owner }: Choosing, added: Prefix, usage: () => string): void {
  const length = nodeLength(from.prefix);
  const all = partsOf(from.prefix, length);
  const most = atLeastOne(all - atLeastOne(all / leftToOthers));
  const numbers = new Ranges();
  const add = ({ first, last }: Prefix) =>
    numbers.add({ first: numberAt(from.prefix, length, first), last: numberAt(from.prefix, length, last) });
  for (const one of given) if (one.owner === owner && contains(from.prefix, one.prefix)) add(one.prefix);
  const had = numbers.size;
  add(added);
  if (numbers.size === had || numbers.size <= most) return;
  throw new MeshError(
    "exhausted",
    `${owner} has addresses in ${had} of the ${all} blocks of ${formatPrefix(from.prefix)}, what ${from.site} gives out of the segment ${segment}, and one node gets no more: ${usage()}; make a larger segment, or let pods leave that node`,
  );
}

function atLeastOne(count: bigint): bigint {
  return count < 1n ? 1n : count;
}
