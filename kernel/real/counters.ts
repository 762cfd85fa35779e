import type { Counters } from "../model.js";

/** A device's own counters; `stats` is a `struct rtnl_link_stats64`. */
export function countersOf(stats: Buffer): Counters {
  const at = (index: number): number => Number(stats.readBigUInt64LE(index * 8));
  return { rxPackets: at(0), txPackets: at(1), rxBytes: at(2), txBytes: at(3), drops: at(6) + at(7) };
}
