import type { Segment } from "../../api/gen/isthmus/v1/segment.js";
import { asMeshError, isAway, MeshError } from "../../core/error.js";
import type { Link } from "../../core/peer.js";
import { sitesOf } from "../../core/segment/spec.js";
import { ofOneSite, parseSpiffeId } from "../../identity/spiffe.js";
import type { StickyApi, StickyAsk } from "../../rpc/sticky.js";
import type { Federation } from "../federation/federation.js";
import type { SegmentBook } from "./book.js";
import type { StickyNames } from "./stickyNames.js";
import type { StickyHolder } from "./stickyRecord.js";

export interface StickyParts {
  /** Whose registry this is. */
  readonly site: string;
  readonly book: SegmentBook;
  /** Of the segments that were made here. */
  readonly names: StickyNames;
  /** Absent where no site can be joined. */
  readonly federation: Pick<Federation, "registryOf" | "peer"> | undefined;
}

interface Asked {
  readonly segment: Segment;
  readonly holder: StickyHolder;
}

/**
 * isthmus.v1.StickyAddresses, for the programs of the own site and for the registries of those that take part in a segment which was made
 * here. Of a segment that was made elsewhere the registry there is asked: one alone can say who was last.
 */
export function stickyAddresses(parts: StickyParts): StickyApi {
  const { site, names } = parts;
  return {
    async claim({ wishes, ...ask }, signal, link) {
      const { segment, holder } = asked(parts, ask, link);
      if (segment.home === site) return await names.claim({ ...ask, holder, wishes }, signal);
      return await atHome(parts, segment, ask.name, signal, (home, until) => home.claim({ ...ask, ...holder, wishes }, until));
    },
    async release(ask, signal, link) {
      const { segment, holder } = asked(parts, ask, link);
      if (segment.home === site) await names.release({ ...ask, holder });
      else await atHome(parts, segment, ask.name, signal, (home, until) => home.release({ ...ask, ...holder }, until));
    },
  };
}

function asked(parts: StickyParts, ask: StickyAsk, link: Link | undefined): Asked {
  if (link === undefined) throw new MeshError("denied", "sticky names are given only over TLS, to who shows a certificate");
  return ofOneSite(link.peer.id, link.self) ? byOwnSite(parts, ask, link) : byOther(parts, ask, link);
}

/** A node speaks for its own programs. */
function byOwnSite(parts: StickyParts, { segment, connection, forwarder }: StickyAsk, { peer, self }: Link): Asked {
  const holder = { site: parts.site, nsmgr: peer.id, forwarder: forwarder ?? peer.id, connection };
  if (!ofOneSite(holder.forwarder, self))
    throw new MeshError("denied", `${holder.forwarder} is of another site; it asks for sticky names at its own registry`);
  return { segment: takenPartIn(parts, segment, parts.site), holder };
}

/** A site's registry speaks for its nodes. */
function byOther(parts: StickyParts, { segment: name, connection, nsmgr = "", forwarder = "" }: StickyAsk, { peer }: Link): Asked {
  if (parts.federation === undefined) throw new MeshError("denied", `${peer.id} is of another site; ${parts.site} is joined with none`);
  const { site } = parts.federation.registryOf(peer);
  const segment = takenPartIn(parts, name, site.name);
  if (segment.home !== parts.site)
    throw new MeshError("denied", `the sticky names of the segment ${name} are kept in ${segment.home}, where it was made; ask there`);
  for (const id of [nsmgr, forwarder])
    if (parseSpiffeId(id).trustDomain !== site.trustDomain)
      throw new MeshError("denied", `${id} is not of ${site.name}, whose registry asks for it; it speaks for its own nodes only`);
  return { segment, holder: { site: site.name, nsmgr, forwarder, connection } };
}

function takenPartIn({ book, site: here }: StickyParts, name: string, site: string): Segment {
  const segment = book.get(name);
  if (segment === undefined) throw new MeshError("not-found", `there is no segment ${name} in ${here}; make it with nsmctl create segment`);
  if (sitesOf(segment).includes(site)) return segment;
  throw new MeshError("denied", `${site} does not take part in the segment ${name}; that is for ${sitesOf(segment).join(", ")}`);
}

async function atHome<T>(
  { federation, site }: StickyParts,
  { name: segment, home }: Segment,
  name: string,
  signal: AbortSignal,
  task: (home: StickyApi, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  if (federation === undefined) throw new MeshError("not-found", `the segment ${segment} is ${home}'s, and ${site} is joined with no site`);
  try {
    return await federation.peer(home).ask((peers, url, until) => task(peers.sticky(url), until), signal);
  } catch (error) {
    if (signal.aborted || !isAway(error)) throw error;
    throw new MeshError(
      "unreachable",
      `the sticky name ${name} of the segment ${segment} waits for ${home}, which keeps it and does not answer: ${asMeshError(error).message}; join without --sticky, or try again`,
      { cause: error },
    );
  }
}
