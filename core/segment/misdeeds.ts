import type { NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import { labelsFor } from "../match.js";

/** What a member of a segment sends that is dropped where it enters. `flooded`: too much broadcast and multicast; `spoofed`: not its own addresses. */
export interface Misdeed {
  /** The member's name. */
  readonly member: string;
  readonly kind: "flooded" | "spoofed";
  /** Milliseconds since 1970. */
  readonly sinceMs: number;
  /** Packets; for others, in round numbers: so many at least. */
  readonly dropped: number;
}

/** So many are told of one node, those with most packets. */
const mostTold = 16;
const label = "misdeeds";
const pattern = /^([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?) (flooded|spoofed) (\d{1,15}) (\d{1,15})$/;

/**
 * What is added to the labels by which a node tells of itself. Only the first digit of a number is told: each change of the labels reaches
 * every node of the segment, and whoever floods shall not make them many.
 */
export function misdeedLabels(misdeeds: readonly Misdeed[]): Record<string, string> {
  if (misdeeds.length === 0) return {};
  const told = [...misdeeds].sort((a, b) => b.dropped - a.dropped).slice(0, mostTold);
  const words = told.map(({ member, kind, sinceMs, dropped }) => `${member} ${kind} ${Math.floor(sinceMs)} ${rounded(dropped)}`);
  return { [label]: words.sort().join(",") };
}

/** What a node tells of its members in an endpoint of the segment's network service. Others may say anything: what is none is left out. */
export function misdeedsOf(endpoint: NetworkServiceEndpoint, segment: string): Misdeed[] {
  const text = labelsFor(endpoint, segment)[label] ?? "";
  return text
    .split(",")
    .slice(0, mostTold)
    .flatMap((words): Misdeed[] => {
      const [, member = "", kind, since, dropped] = pattern.exec(words) ?? [];
      if (kind !== "flooded" && kind !== "spoofed") return [];
      return [{ member, kind, sinceMs: Number(since), dropped: Number(dropped) }];
    });
}

function rounded(count: number): number {
  const unit = 10 ** (String(Math.floor(count)).length - 1);
  return Math.floor(count / unit) * unit;
}
