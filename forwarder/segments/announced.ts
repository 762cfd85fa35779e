import { type Family, formatAddress } from "../../core/ipam/address.js";
import { formatPrefix, type Prefix, parsePrefix } from "../../core/ipam/prefix.js";

/** What lies behind a member, and the groups that it is in. */
export interface Announcing {
  readonly prefixes: readonly string[];
  readonly groups: readonly string[];
}

interface Place extends Prefix {
  readonly groups: Set<string>;
}

/**
 * The addresses behind the members of each group, as prefixes and ranges of which no two have an address in common. As packets do, an
 * address goes by the longest prefix that it lies in; with several members of that one it is in the groups of all.
 */
export function behindGroups(announcing: readonly Announcing[]): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  for (const family of [4, 6] as const)
    for (const { piece, groups } of pieces(placesOf(announcing, family)))
      for (const group of groups) found[group] = [...(found[group] ?? []), piece];
  return found;
}

/** Those of one family from low to high, and the larger first. */
function placesOf(announcing: readonly Announcing[], family: Family): Place[] {
  const places = new Map<string, Place>();
  for (const { prefixes, groups } of announcing)
    for (const text of prefixes) {
      const place = places.get(text) ?? { ...parsePrefix(text), groups: new Set() };
      for (const group of groups) place.groups.add(group);
      places.set(text, place);
    }
  const ordered = [...places.values()].filter((place) => place.family === family);
  return ordered.sort((a, b) => (a.first === b.first ? a.length - b.length : a.first < b.first ? -1 : 1));
}

/** What each place has for itself: between and behind the smaller ones in it. */
function* pieces(places: readonly Place[]): Iterable<{ readonly piece: string; readonly groups: Iterable<string> }> {
  const around: Place[] = [];
  let next = 0n;
  const upTo = function* (end: bigint) {
    const place = around.at(-1);
    if (place !== undefined && next <= end) yield { piece: pieceOf(place, next, end), groups: place.groups };
    next = end + 1n;
  };
  for (const place of [...places, undefined]) {
    for (let last = around.at(-1); last !== undefined && (place === undefined || last.last < place.first); last = around.at(-1)) {
      yield* upTo(last.last);
      around.pop();
    }
    if (place === undefined) return;
    yield* upTo(place.first - 1n);
    around.push(place);
  }
}

function pieceOf(place: Place, first: bigint, last: bigint): string {
  const { family } = place;
  if (first === place.first && last === place.last) return formatPrefix(place);
  return `${formatAddress(family, first)}-${formatAddress(family, last)}`;
}
