import { Segment } from "../../api/gen/isthmus/v1/segment.js";
import { NetworkService } from "../../api/gen/registry/registry.js";
import { type Kind, record } from "../kind.js";

/** As the registry keeps it, whether it was made here or is a copy. */
export const segmentKind: Kind<Segment> = {
  word: "segment",
  prefix: "segment/",
  name: ({ name }) => name,
  terms: () => [],
  matches: (query, { name }) => query.name === "" || query.name === name,
  encode: (segment) => Segment.encode(segment).finish(),
  decode: (entry) => record("segment", entry, () => Segment.decode(entry.value)),
};

/** A query that finds all of them. */
export const anySegment: Segment = Segment.fromPartial({});

/** The network service by which pods join it: it is the registry's own, so nobody else can change it. */
export function serviceOf({ name, layer }: Segment, registryId: string): NetworkService {
  return NetworkService.fromPartial({ name, payload: layer === "l3" ? "IP" : "ETHERNET", pathIds: [registryId] });
}
