import type { IPContext } from "../../api/gen/connectioncontext/connectioncontext.js";
import { MeshError } from "../error.js";
import { parseAddress, parseRange, rangesMeet, widthOf } from "./address.js";
import type { Pair } from "./lease.js";
import type { PrefixPool } from "./pool.js";

/** One family's pool, with its prefixes as they were given, for people. */
export interface NamedPool {
  readonly pool: PrefixPool;
  readonly cidrs: readonly string[];
}

/**
 * Two free addresses: those that the connection has already where they are free, else the lowest, the endpoint's before the client's.
 * None is taken where there are not two; then "exhausted" says how many are in use.
 */
export function takePair({ pool, cidrs }: NamedPool, ip: IPContext): Pair {
  const taken: string[] = [];
  const take = (had: readonly string[]) => {
    const address = recovered(pool, had, ip) ?? pool.take(ip.excludedPrefixes);
    if (address !== undefined) taken.push(address);
    return address;
  };
  try {
    const destination = take(ip.dstIpAddrs);
    const source = take(ip.srcIpAddrs);
    if (destination === undefined || source === undefined) throw exhausted({ pool, cidrs }, ip.excludedPrefixes, taken.length);
    return { source, destination };
  } catch (error) {
    for (const address of taken) pool.release(address);
    throw error;
  }
}

function recovered(pool: PrefixPool, had: readonly string[], ip: IPContext): string | undefined {
  return had.find((address) => !isExcluded(address, ip.excludedPrefixes) && pool.recover(address))?.split("/")[0];
}

/** Whether an address lies in one of these prefixes. */
export function isExcluded(address: string, prefixes: readonly string[]): boolean {
  const range = parseRange(address.split("/")[0] ?? "");
  return prefixes.some((prefix) => rangesMeet(parseRange(prefix), range));
}

/** `172.16.1.1` as `172.16.1.1/32`. */
export function hostPrefix(address: string): string {
  return `${address}/${widthOf(parseAddress(address).family)}`;
}

/** `taken` are those that this very attempt has taken and will give back. */
function exhausted({ pool, cidrs }: NamedPool, excluded: readonly string[], taken: number): MeshError {
  const range = cidrs.join(", ");
  const used = pool.used - BigInt(taken);
  const use = `${used} of ${pool.size} addresses are in use`;
  const needs = "a connection needs two";
  if (excluded.length === 0 || pool.size - used < 2n)
    return new MeshError("exhausted", `${range} is used up: ${use} and ${needs}; serve with a larger range, or close connections`);
  return new MeshError(
    "exhausted",
    `${range} has nothing left to give: ${use}, ${needs}, and the rest is excluded by ${excluded.join(", ")}; serve with another range`,
  );
}
