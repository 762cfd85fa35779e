import type { CountedNode } from "../api/gen/isthmus/v1/segment.js";
import type { Link } from "../core/peer.js";
import { unary } from "./bind.js";
import type { Caller } from "./caller.js";
import { segmentCountersMethods } from "./methods.js";
import type { Answering } from "./transport.js";

/** isthmus.v1.SegmentCounters. Every failure is a MeshError. `link` is absent for a client. */
export interface SegmentCountersApi {
  /** What the kernel has counted in a segment; without members where the node has none. "denied" to other sites. */
  read(segment: string, signal: AbortSignal, link?: Link): Promise<CountedNode>;
}

/** What it answers on the wire. */
export function segmentCounters(api: SegmentCountersApi): Answering[] {
  return [unary(segmentCountersMethods.read, ({ segment }, { signal, link }) => api.read(segment, signal, link))];
}

/** isthmus.v1.SegmentCounters at a URL. */
export function segmentCountersClient(caller: Caller, url: string): SegmentCountersApi {
  return { read: (segment, signal) => caller.unary(url, segmentCountersMethods.read, { segment }, { signal }) };
}
