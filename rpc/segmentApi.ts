import type {
  DeleteSegmentRequest,
  ListBlocksRequest,
  ReleaseBlocksRequest,
  Segment,
  SegmentBlock,
  SegmentList,
} from "../api/gen/isthmus/v1/segment.js";
import { MeshError } from "../core/error.js";
import type { Link } from "../core/peer.js";
import type { Moment } from "../core/segment/moment.js";
import { ofOneSite } from "../identity/spiffe.js";
import { latest } from "./latest.js";

/** isthmus.v1.Segments, for the site's administrator. Every failure is a MeshError. */
export interface SegmentsApi extends BlocksAdminApi {
  /** "invalid" for what is no segment or cannot become what it is to be, "exists" for a name that is taken, "conflict" for a copy. */
  apply(segment: Segment, signal: AbortSignal): Promise<Segment>;
  list(signal: AbortSignal): Promise<readonly Segment[]>;
  /** "conflict" while it has members, unless by force. */
  delete(request: DeleteSegmentRequest, signal: AbortSignal): Promise<void>;
}

/** The part of it that is about what nodes of the site have. */
export interface BlocksAdminApi {
  /** What nodes of this site have of it. "not-found" for a segment that there is not. */
  listBlocks(request: ListBlocksRequest, signal: AbortSignal): Promise<readonly SegmentBlock[]>;
  /** Takes back what a node has, and answers it. "not-found" where that is nothing, "conflict" while the node is registered, unless by force. */
  releaseBlocks(request: ReleaseBlocksRequest, signal: AbortSignal): Promise<readonly SegmentBlock[]>;
}

/** isthmus.v1.SegmentFeed. `link` is absent on a socket without TLS, and for a client. */
export interface SegmentFeedApi {
  /** All segments that the site knows, and again after every change, the latest when the reader is slow. */
  watch(signal: AbortSignal, link?: Link): AsyncIterable<SegmentList>;
}

/** Who knows the site's segments, and tells when they change. */
export interface SegmentSource {
  /** Undefined until they are known. A list is never changed, another takes its place. */
  readonly current: readonly Segment[] | undefined;
  /** When it was so. */
  readonly moment: Moment;
  /** Is told after every change, until disposed. */
  listen(listener: () => void): Disposable;
}

/** Those of them that may be told. */
export function listsOf(source: SegmentSource, isMeant: (segment: Segment) => boolean = () => true) {
  const current = (): SegmentList | undefined => source.current && { segments: source.current.filter(isMeant), ...source.moment };
  return { current, listen: (listener: () => void) => source.listen(listener) };
}

/** Tells the segments to the programs of the own site: other sites hear at its registry of those that they take part in. */
export function segmentFeed(source: SegmentSource): SegmentFeedApi {
  return {
    async *watch(signal, link) {
      if (link !== undefined && !ofOneSite(link.peer.id, link.self))
        throw new MeshError("denied", `${link.peer.id} is of another site; this site's segments are told to its own programs only`);
      yield* latest(listsOf(source), signal, () => source.current);
    },
  };
}
