import type { Meter, Sample } from "../../core/meter.js";
import type { Segments } from "./segments.js";

/** What this node has of segments, as of the moment somebody asks. */
export function segmentGauges(meter: Meter, segments: Segments): void {
  const each = (value: (of: Segments["present"][number]) => number) => (): Sample<"segment">[] =>
    segments.present.map((presence) => [{ segment: presence.name }, value(presence)]);
  const dropped = (kind: "spoofed" | "flooded") => async (): Promise<Sample<"segment">[]> => {
    const sums = new Map<string, number>();
    for (const { segment, counters } of await segments.counters()) sums.set(segment, (sums.get(segment) ?? 0) + (counters[kind] ?? 0));
    return [...sums].map(([segment, sum]) => [{ segment }, sum]);
  };
  meter.gauge(
    "isthmus_segment_members",
    "Members of a segment on this node",
    ["segment"],
    each(({ local }) => local.members.length),
  );
  meter.gauge(
    "isthmus_segment_nodes",
    "Other nodes of a segment that answer",
    ["segment"],
    each(({ local }) => local.remotes.length),
  );
  meter.gauge(
    "isthmus_segment_mtu",
    "Largest packet in a segment, bytes",
    ["segment"],
    each(({ local }) => local.mtu),
  );
  const spoofed = "Packets of members that were dropped because their source is not the member's own";
  meter.gauge("isthmus_segment_spoofed_packets", spoofed, ["segment"], dropped("spoofed"));
  const flooded = "Broadcast and multicast of members that was dropped because it was too much";
  meter.gauge("isthmus_segment_flooded_packets", flooded, ["segment"], dropped("flooded"));
}
