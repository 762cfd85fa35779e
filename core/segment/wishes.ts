import type { Connection } from "../../api/gen/connection/connection.js";
import type { ConnectionContext } from "../../api/gen/connectioncontext/connectioncontext.js";
import { contextOf, ipContextOf } from "../context.js";
import { MeshError } from "../error.js";
import { formatAddress, parseAddress, parseRange, type Range, widthOf } from "../ipam/address.js";
import { parseSegmentService } from "./service.js";
import { specialMeeting } from "./special.js";

/** What a pod wants to be in the segment that it joins. */
export interface JoinWishes {
  /** That it wants to have, without length, canonical; empty: any. */
  readonly addresses: readonly string[];
  /** A DNS label: who joins by it again has the same addresses; empty: none. */
  readonly sticky: string;
  /** Prefixes behind it, canonical. */
  readonly announces: readonly string[];
  /** What it serves, see service.ts. */
  readonly services: readonly string[];
  /** Whether it may send from other addresses than its own. */
  readonly spoofing: boolean;
}

export const noWishes: JoinWishes = { addresses: [], sticky: "", announces: [], services: [], spoofing: false };

/** Where they travel: ConnectionContext.extra_context, lists with commas; the addresses are those of the client in the IP context. */
const keys = {
  sticky: "isthmus.sticky",
  announces: "isthmus.announce",
  services: "isthmus.service",
  spoofing: "isthmus.spoofing",
} as const;
/** So many of each at the most. */
export const mostWishes = { addresses: 8, announces: 32, services: 16 } as const;
/** What is larger is a default route, or a part of one: it would draw what every member sends to anywhere. */
const leastLength = 8;

/** Throws "invalid" with what is wrong and what is allowed. */
export function checkWishes({ addresses, sticky, announces, services }: JoinWishes): void {
  checkList("fixed address", addresses, mostWishes.addresses);
  checkList("announced prefix", announces, mostWishes.announces);
  checkList("service", services, mostWishes.services);
  for (const address of addresses) checkAddress(address);
  for (const prefix of announces) checkPrefix(prefix);
  for (const service of services) parseSegmentService(service);
  if (sticky !== "") checkStickyName(sticky);
}

/** Throws "invalid". */
export function checkStickyName(name: string): void {
  if (/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name)) return;
  throw new MeshError(
    "invalid",
    `a sticky name has at most 63 lower-case letters, digits and dashes, as camera-1; got ${JSON.stringify(name)}`,
  );
}

/** The context of a request that has them. */
export function wishContext({ addresses, sticky, announces, services, spoofing }: JoinWishes): {
  readonly extraContext: Record<string, string>;
  readonly srcIpAddrs: string[];
} {
  const told = { sticky, announces: announces.join(","), services: services.join(","), spoofing: spoofing ? "true" : "" };
  const extra = Object.entries(keys).map(([wish, key]) => [key, told[wish as keyof typeof keys]] as const);
  return {
    extraContext: Object.fromEntries(extra.filter(([, text]) => text !== "")),
    srcIpAddrs: addresses.map((address) => `${address}/${widthOf(parseAddress(address).family)}`),
  };
}

/** What a connection, or the request for one, wants of a segment: addresses that it has already, once it has some. Throws "invalid". */
export function joinWishes(conn: Connection): JoinWishes {
  const { extraContext }: Pick<ConnectionContext, "extraContext"> = contextOf(conn);
  const text = (key: string) => (Object.hasOwn(extraContext, key) ? (extraContext[key] ?? "") : "");
  const list = (key: string) =>
    text(key)
      .split(",")
      .filter((word) => word !== "");
  const wishes: JoinWishes = {
    addresses: ipContextOf(conn).srcIpAddrs.map((address) => address.split("/")[0] ?? ""),
    sticky: text(keys.sticky),
    ...{ announces: list(keys.announces), services: list(keys.services), spoofing: text(keys.spoofing) === "true" },
  };
  checkWishes(wishes);
  return wishes;
}

function checkList(what: string, list: readonly string[], most: number): void {
  if (list.length > most) throw new MeshError("invalid", `a pod may have ${most} of these at most: ${what}; got ${list.length}`);
  const twice = list.find((word, at) => list.indexOf(word) !== at);
  if (twice !== undefined) throw new MeshError("invalid", `${what} ${twice} was given twice; give it once`);
}

function checkAddress(text: string): void {
  const { family, value } = parseAddress(text);
  const canonical = formatAddress(family, value);
  if (text !== canonical)
    throw new MeshError("invalid", `a fixed address is written without length and in its shortest form, ${canonical}; got ${text}`);
}

function checkPrefix(text: string): void {
  const range = parseRange(text);
  const { family, first } = range;
  const canonical = `${formatAddress(family, first)}/${lengthOf(range)}`;
  if (text !== canonical)
    throw new MeshError("invalid", `an announced prefix is written without host bits and in its shortest form, ${canonical}; got ${text}`);
  const special = specialMeeting(range);
  if (lengthOf(range) < leastLength || special !== undefined)
    throw new MeshError(
      "invalid",
      `a pod cannot announce ${text}: ${special === undefined ? `it is larger than a /${leastLength}, and would be everybody's default route` : `${special.prefix} ${special.what}`}`,
    );
}

/** Whether a prefix, in its shortest form, may be behind a member of a segment: what `checkWishes` lets pass. */
export function isAnnounceable(text: string): boolean {
  try {
    checkPrefix(text);
    return true;
  } catch {
    return false;
  }
}

function lengthOf({ family, first, last }: Range): number {
  return widthOf(family) - (last - first + 1n).toString(2).length + 1;
}
