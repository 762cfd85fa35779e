import type { CountedNode, Traffic } from "../../api/gen/isthmus/v1/segment.js";
import { asMeshError } from "../../core/error.js";
import type { NodeClient } from "../../rpc/node.js";
import { plain } from "../plain.js";
import { table } from "../table.js";

/** Packets and bytes. */
type Passed = Readonly<Record<"receivedPackets" | "receivedBytes" | "sentPackets" | "sentBytes", number>>;

/** What one node has counted in a segment. */
export interface CountersView {
  readonly node: string;
  /** From all other nodes, and to them. */
  readonly others: Passed;
  /** As each sees it: what it sent and was dropped is in it, and by its reason. */
  readonly members: readonly (Passed & { readonly name: string; readonly spoofed: number; readonly flooded: number })[];
}

/** What the asked node has counted; why that is not known, where it is not: all else is worth showing. */
export interface Counted {
  readonly counters: readonly CountersView[];
  readonly countersUnknown?: string;
}

export async function countersAt(node: Pick<NodeClient, "readSegmentCounters">, segment: string, signal: AbortSignal): Promise<Counted> {
  try {
    return { counters: (await node.readSegmentCounters(segment, signal)).map(viewOf) };
  } catch (error) {
    signal.throwIfAborted();
    return { counters: [], countersUnknown: asMeshError(error).message };
  }
}

const columns = ["member", "receivedPackets", "receivedBytes", "sentPackets", "sentBytes", "spoofed", "flooded"];

/** The same as tables, one a node. */
export function countersText({ counters, countersUnknown }: Counted, segment: string): string {
  if (countersUnknown !== undefined) return `counters are not known: ${countersUnknown}`;
  if (counters.length === 0)
    return `counters: none, the node that was asked has no members; \`nsmctl --node NODE describe segment ${segment}\` asks another`;
  return counters
    .map(({ node, others, members }) => `counters at ${plain(node)}:\n${table(columns, [...members.map(row), otherNodes(others)])}`)
    .join("\n\n");
}

function row({ name, ...rest }: CountersView["members"][number]) {
  return { member: name, ...rest };
}

function otherNodes(others: Passed) {
  return { member: "(other nodes)", ...others };
}

function viewOf({ node, others, members }: CountedNode): CountersView {
  return {
    node,
    others: passed(others),
    members: members.map(({ name, traffic, spoofed, flooded }) => ({ name, ...passed(traffic), spoofed, flooded })),
  };
}

function passed(traffic: Traffic | undefined): Passed {
  const { receivedPackets = 0, receivedBytes = 0, sentPackets = 0, sentBytes = 0 } = traffic ?? {};
  return { receivedPackets, receivedBytes, sentPackets, sentBytes };
}
