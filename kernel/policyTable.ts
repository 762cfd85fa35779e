import { createHash } from "node:crypto";

/** So many tables one device can have. */
export const tablesPerDevice = 64;

/**
 * The number of a routing table that only rules and routes of one port use: the port's name in it tells whose a found rule is. With the
 * highest bit set it is none that people or other programs use.
 */
export function policyTable(port: string, n: number): number {
  const hash = createHash("sha256").update(`isthmus table ${port}`).digest().readUInt32LE();
  return ((hash | 0x80000000) >>> 0) - (hash % tablesPerDevice) + n;
}

/** Whether two tables belong to one port. */
export function samePort(a: number, b: number): boolean {
  return Math.floor(a / tablesPerDevice) === Math.floor(b / tablesPerDevice);
}
