import type { KeyObject } from "node:crypto";
import type { IssuedIdentity, JoinRequest, RenewRequest, TrustBundles } from "../api/gen/isthmus/v1/identity.js";
import type { SegmentList } from "../api/gen/isthmus/v1/segment.js";
import type {
  InviteNodeRequest,
  InviteNodeResponse,
  InviteSiteRequest,
  InviteSiteResponse,
  JoinedSite,
  JoinFederationRequest,
  JoinSiteRequest,
  LeaveSiteRequest,
  ListSitesResponse,
  SiteInfo,
} from "../api/gen/isthmus/v1/site.js";
import type { Peer } from "../core/peer.js";

/** isthmus.v1.Identity: what a registry with an authority does for the programs of nodes. Every failure is a MeshError. */
export interface IdentityApi {
  /** `key` is that of the certificate which the caller showed, self-signed or not. */
  join(request: JoinRequest, key: KeyObject): Promise<IssuedIdentity>;
  renew(request: RenewRequest, peer: Peer): Promise<IssuedIdentity>;
  /** Whom the site trusts, at once and after each change, until the signal ends. */
  followTrust(peer: Peer, signal: AbortSignal): AsyncIterable<TrustBundles>;
}

/** isthmus.v1.Federation: what a registry does for those of other sites. */
export interface FederationApi {
  join(request: JoinFederationRequest): Promise<SiteInfo>;
  /** What the site says of itself; an empty one is a sign of life. */
  follow(peer: Peer, signal: AbortSignal): AsyncIterable<SiteInfo>;
  /** The segments made here that the peer's site takes part in. */
  segments(peer: Peer, signal: AbortSignal): AsyncIterable<SegmentList>;
}

/** isthmus.v1.Site, for the site's administrator. */
export interface SiteApi {
  inviteNode(request: InviteNodeRequest, signal: AbortSignal): Promise<InviteNodeResponse>;
  inviteSite(request: InviteSiteRequest, signal: AbortSignal): Promise<InviteSiteResponse>;
  joinSite(request: JoinSiteRequest, signal: AbortSignal): Promise<JoinedSite>;
  listSites(signal: AbortSignal): Promise<ListSitesResponse>;
  leaveSite(request: LeaveSiteRequest, signal: AbortSignal): Promise<void>;
}
