import type { KeyObject } from "node:crypto";
import type { InviteNodeRequest, InviteNodeResponse, IssuedIdentity, JoinRequest, RenewRequest } from "../api/gen/isthmus/v1/identity.js";
import type { Peer } from "../core/peer.js";

/** isthmus.v1.Identity: what a registry with an authority does for the programs of nodes. Every failure is a MeshError. */
export interface IdentityApi {
  /** `key` is that of the certificate which the caller showed, self-signed or not. */
  join(request: JoinRequest, key: KeyObject): Promise<IssuedIdentity>;
  renew(request: RenewRequest, peer: Peer): Promise<IssuedIdentity>;
}

/** isthmus.v1.Site, for the site's administrator. */
export interface SiteApi {
  inviteNode(request: InviteNodeRequest, signal: AbortSignal): Promise<InviteNodeResponse>;
}
