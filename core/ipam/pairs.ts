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
  const recovered = (addresses: readonly string[]) => addresses.find((address) => mayRecover(address, ip) && pool.recover(address));
  const destination = bare(recovered(ip.dstIpAddrs)) ?? pool.take(ip.excludedPrefixes);
  const source = destination === undefined ? undefined : (bare(recovered(ip.srcIpAddrs)) ?? pool.take(ip.excludedPrefixes));
  if (destination !== undefined && source !== undefined) return { source, destination };
  if (destination !== undefined) pool.release(destination);
  throw exhausted({ pool, cidrs }, ip.excludedPrefixes);
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

function mayRecover(address: string, ip: IPContext): boolean {
  return !isExcluded(address, ip.excludedPrefixes);
}

function bare(address: string | undefined): string | undefined {
  return address?.split("/")[0];
}

function exhausted({ pool, cidrs }: NamedPool, excluded: readonly string[]): MeshError {
  const range = cidrs.join(", ");
  const use = `${pool.used} of ${pool.size} addresses are in use`;
  const needs = "a connection needs two";
  if (excluded.length === 0 || pool.size - pool.used < 2n)
    return new MeshError("exhausted", `${range} is used up: ${use} and ${needs}; serve with a larger range, or close connections`);
  return new MeshError(
    "exhausted",
    `${range} has nothing left to give: ${use}, ${needs}, and the rest is excluded by ${excluded.join(", ")}; serve with another range`,
  );
}
