import type { Segment, SegmentList } from "../../api/gen/isthmus/v1/segment.js";
import type { JoinedSite, ListSitesResponse, SiteInfo } from "../../api/gen/isthmus/v1/site.js";
import type { Clock } from "../../core/clock.js";
import { sitesOf } from "../../core/segment/spec.js";
import { fingerprintOf } from "../../identity/certificate.js";
import type { FederationApi, SiteApi } from "../../rpc/identityApi.js";
import { latest } from "../../rpc/latest.js";
import { listsOf, type SegmentSource } from "../../rpc/segmentApi.js";
import { linked, onAbort } from "../../rpc/signals.js";
import type { Federation } from "./federation.js";
import type { Joining } from "./joining.js";
import { beat, beatMs, infoOf, type Site } from "./site.js";

export interface FederationApiParts {
  readonly federation: Federation;
  readonly joining: Joining;
  /** What this site says of itself. */
  readonly own: () => Site;
  readonly segments: SegmentSource;
  readonly clock: Clock;
}

/** isthmus.v1.Federation, for the registries of other sites. */
export function federationApi({ federation, joining, own, segments, clock }: FederationApiParts): FederationApi {
  return {
    join: (request) => joining.admit(request),
    async *follow(peer, signal): AsyncGenerator<SiteInfo> {
      const caller = federation.registryOf(peer);
      using life = linked(signal);
      using _left = onAbort(caller.signal, () => life.abort());
      yield infoOf(own());
      while (!life.signal.aborted) {
        await clock.sleep(beatMs, life.signal).catch(() => {});
        if (!life.signal.aborted) yield beat;
      }
    },
    /** Those that were made here and that the other site takes part in. */
    async *segments(peer, signal) {
      const caller = federation.registryOf(peer);
      using life = linked(signal);
      using _left = onAbort(caller.signal, () => life.abort());
      const { name: home } = own();
      const isShared = (segment: Segment) => segment.home === home && sitesOf(segment).includes(caller.site.name);
      yield* latest(listsOf(segments, isShared), life.signal, versions);
    },
  };
}

/** What changes with every change of one of them. */
function versions({ segments }: SegmentList): string {
  return segments.map(({ name, version, createdMs }) => `${name} ${version} ${createdMs}`).join();
}

/** The part of isthmus.v1.Site that is about other sites. */
export function sitesApi({
  federation,
  joining,
}: Pick<FederationApiParts, "federation" | "joining">): Pick<SiteApi, "inviteSite" | "joinSite" | "listSites" | "leaveSite"> {
  return {
    inviteSite: (request) => joining.invite(request),
    joinSite: async (request, signal) => joinedOf(await joining.join(request, signal), { state: "joining", reason: "" }),
    async listSites(): Promise<ListSitesResponse> {
      const { name, trustDomain } = federation.sites;
      return { name, trustDomain, sites: federation.peers.map((peer) => joinedOf(peer.site, peer)) };
    },
    leaveSite: ({ name }) => federation.sites.remove(name),
  };
}

function joinedOf({ name, trustDomain, urls, bundle }: Site, { state, reason }: Pick<JoinedSite, "state" | "reason">): JoinedSite {
  return { name, trustDomain, urls: [...urls], state, reason, authorities: bundle.map(fingerprintOf) };
}
