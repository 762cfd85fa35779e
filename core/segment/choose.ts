import { MeshError } from "../error.js";
import { formatAddress, rangesMeet } from "../ipam/address.js";
import { contains, formatPrefix, isHost, numberAt, type Prefix, part, partsOf } from "../ipam/prefix.js";
import { Ranges, type Span } from "../ipam/ranges.js";
import { nodeLength } from "./cut.js";
import { mustLeaveRoom } from "./share.js";

/** A block that somebody has. */
export interface Given {
  readonly prefix: Prefix;
  /** The node to which it was given: its nsmgr's SPIFFE id. */
  readonly owner: string;
  /** The program of that node that gives its addresses out. */
  readonly holder: string;
  /** When it was asked for last, in the asker's count. */
  readonly at?: number;
}

export interface Choosing extends Given {
  /** What is asked for; of length 0: any. */
  readonly prefix: Prefix;
  readonly segment: string;
  /** Of the wanted family: what the asked site may give out. */
  readonly from: { readonly site: string; readonly prefix: Prefix };
  /** Of both families, what all nodes of the site have. */
  readonly given: readonly Given[];
  /** A block of which nothing is left without these is not given unasked. */
  readonly exclude: readonly Prefix[];
}

export interface Chosen {
  readonly prefix: Prefix;
  /** What is the asker's already, and has it. */
  readonly known: Given | undefined;
}

/** The block to give. Throws "exhausted", "exists" for what another has, "invalid" for what cannot be given here. */
export function choose(asked: Choosing): Chosen {
  const chosen = asked.prefix.length === 0 ? anyBlock(asked) : thisOne(asked);
  if (chosen.known === undefined) mustLeaveRoom(asked, chosen.prefix, () => byNode(blocksIn(asked)));
  return chosen;
}

function thisOne(asked: Choosing): Chosen {
  checkPlace(asked);
  const meeting = asked.given.filter(({ prefix }) => rangesMeet(prefix, asked.prefix));
  const other = meeting.find((one) => !isOf(one, asked));
  if (other !== undefined) throw another(asked, other);
  return { prefix: asked.prefix, known: meeting.find(({ prefix }) => contains(prefix, asked.prefix)) };
}

/** One that the asker has and does not name was given to it, and it never heard of it. */
function anyBlock(asked: Choosing): Chosen {
  const { from, given, exclude } = asked;
  const length = nodeLength(from.prefix);
  const excluded = unionOf(exclude, from.prefix);
  const unheard = given.find(
    (one) => isOf(one, asked) && one.prefix.length === length && contains(from.prefix, one.prefix) && !isWithin(one.prefix, excluded),
  );
  if (unheard !== undefined) return { prefix: unheard.prefix, known: unheard };
  const taken = numbersWithin(excluded, from.prefix, length);
  for (const one of given)
    if (contains(from.prefix, one.prefix) && !isOwnHost(one, asked)) taken.add(numbersMeeting(one.prefix, from.prefix, length));
  const number = all(from.prefix, length).lowestOutside(taken);
  if (number === undefined) throw full(asked, length);
  return { prefix: part(from.prefix, length, number), known: undefined };
}

function checkPlace({ prefix, segment, from }: Choosing): void {
  const length = nodeLength(from.prefix);
  if (!contains(from.prefix, prefix))
    throw new MeshError(
      "invalid",
      `${shown(prefix)} of the segment ${segment} is not ${from.site}'s to give; that gives out ${formatPrefix(from.prefix)}, choose of those`,
    );
  if (prefix.length !== length && !isHost(prefix))
    throw new MeshError(
      "invalid",
      `${formatPrefix(prefix)} of the segment ${segment} is no block that ${from.site} gives; it gives /${length} and single addresses out of ${formatPrefix(from.prefix)}`,
    );
}

function isOf(one: Given, { owner, holder }: Given): boolean {
  return one.owner === owner && one.holder === holder;
}

/** The block around an address that a node has may still become that node's. */
function isOwnHost(one: Given, asked: Given): boolean {
  return isHost(one.prefix) && isOf(one, asked);
}

/** As far as it lies in `from`, of which a prefix has all, a part, or nothing. */
function unionOf(prefixes: readonly Prefix[], from: Prefix): Ranges {
  const union = new Ranges();
  for (const prefix of prefixes)
    if (contains(prefix, from)) union.add(from);
    else if (contains(from, prefix)) union.add(prefix);
  return union;
}

function isWithin({ first, last }: Prefix, union: Ranges): boolean {
  return [...union.spans()].some((span) => span.first <= first && last <= span.last);
}

function all(from: Prefix, length: number): Ranges {
  const numbers = new Ranges();
  numbers.add({ first: 0n, last: partsOf(from, length) - 1n });
  return numbers;
}

/** The numbers of the blocks of which the union leaves nothing. */
function numbersWithin(union: Ranges, from: Prefix, length: number): Ranges {
  const numbers = new Ranges();
  for (const span of union.spans()) {
    const before = span.first === from.first ? -1n : numberAt(from, length, span.first - 1n);
    const after = numberAt(from, length, span.last + 1n);
    if (before + 1n < after) numbers.add({ first: before + 1n, last: after - 1n });
  }
  return numbers;
}

/** The numbers of the blocks that have addresses of `prefix`. */
function numbersMeeting({ first, last }: Prefix, from: Prefix, length: number): Span {
  return { first: numberAt(from, length, first), last: numberAt(from, length, last) };
}

function another({ prefix, segment }: Choosing, other: Given): MeshError {
  const what = `${shown(prefix)} of the segment ${segment}`;
  const [has, whose] = [shown(other.prefix), other.holder];
  const why =
    isHost(prefix) && !isHost(other.prefix)
      ? `it lies in ${has}, which is ${whose}'s to give; ask for another, or for none`
      : `${has} is ${whose}'s; ask for another, or for any${isHost(prefix) ? "" : " block"}`;
  return new MeshError("exists", `${what} cannot be given: ${why}`);
}

/** An address is what people call one. */
function shown(prefix: Prefix): string {
  return isHost(prefix) ? formatAddress(prefix.family, prefix.first) : formatPrefix(prefix);
}

const mostNamed = 5;

function full(asked: Choosing, length: number): MeshError {
  const { segment, from, given, exclude } = asked;
  const blocks = blocksIn(asked);
  const hosts = given.filter(({ prefix }) => contains(from.prefix, prefix)).length - blocks.length;
  const more = [
    ...(hosts > 0 ? [`${hosts} single ${hosts === 1 ? "address" : "addresses"}`] : []),
    ...(exclude.some((one) => rangesMeet(one, from.prefix)) ? ["what is excluded"] : []),
  ];
  const besides = more.length === 0 ? "" : `, besides ${more.join(" and ")}`;
  return new MeshError(
    "exhausted",
    `${formatPrefix(from.prefix)}, what ${from.site} gives out of the segment ${segment}, is used up: ${blocks.length} of ${partsOf(from.prefix, length)} blocks of ${sizeText(from.prefix, length)} are given, ${byNode(blocks)}${besides}`,
  );
}

function blocksIn({ from, given }: Choosing): Given[] {
  const isBlock = (prefix: Prefix) => !isHost(prefix) || nodeLength(from.prefix) === prefix.length;
  return given.filter(({ prefix }) => contains(from.prefix, prefix) && isBlock(prefix));
}

function sizeText({ family }: Prefix, length: number): string {
  return family === 4 ? `${1n << BigInt(32 - length)} addresses` : `/${length}`;
}

function byNode(blocks: readonly Given[]): string {
  const counts = new Map<string, number>();
  for (const { owner } of blocks) counts.set(owner, (counts.get(owner) ?? 0) + 1);
  const named = [...counts].sort(([, a], [, b]) => b - a).map(([owner, count]) => `${count} to ${owner}`);
  const rest = named.length - mostNamed;
  return [...named.slice(0, mostNamed), ...(rest > 0 ? [`the rest to ${rest} more nodes`] : [])].join(", ") || "none to any node";
}
