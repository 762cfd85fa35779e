import type { JoinRequest, RenewRequest } from "../api/gen/isthmus/v1/identity.js";
import type { InviteNodeRequest, JoinFederationRequest, JoinSiteRequest, LeaveSiteRequest, SiteInfo } from "../api/gen/isthmus/v1/site.js";
import { MeshError } from "../core/error.js";
import { checkName, checkText, checkTexts } from "./check.js";
import { limits } from "./limits.js";

/** A P-256 key has 91 bytes; some room for other ways to write it. */
const longestKey = 512;
const longestSecret = 64;
const longestCertificate = 16_384;
const mostUrls = 16;

export function checkJoin({ program, node, invitation, secret }: JoinRequest): void {
  checkName("the program", program);
  checkNode(node);
  checkInvitation(invitation, secret);
}

export function checkJoinFederation({ invitation, secret, site }: JoinFederationRequest): void {
  checkInvitation(invitation, secret);
  if (site === undefined) throw new MeshError("invalid", "who joins does not say which site it is");
  checkSiteInfo(site);
}

export function checkSiteInfo({ name, trustDomain, registryId, urls, bundle }: SiteInfo): void {
  checkName("the site's name", name);
  checkName("the site's trust domain", trustDomain);
  checkText("the SPIFFE id of the site's registry", registryId, limits.url);
  checkTexts("the list of the site's registries", urls, mostUrls, limits.url);
  for (const { length } of bundle?.certificates ?? [])
    if (length > longestCertificate) throw new MeshError("invalid", `a certificate has at most ${longestCertificate} bytes, got ${length}`);
}

export function checkJoinSite({ token }: JoinSiteRequest): void {
  checkText("the token", token, limits.token);
}

export function checkLeaveSite({ name }: LeaveSiteRequest): void {
  checkName("the site's name", name);
}

function checkInvitation(invitation: string, secret: Uint8Array): void {
  checkName("the invitation", invitation);
  if (secret.length > longestSecret)
    throw new MeshError("invalid", `the secret has ${secret.length} bytes; at most ${longestSecret} are taken`);
}

export function checkRenew({ publicKey }: RenewRequest): void {
  if (publicKey.length === 0 || publicKey.length > longestKey)
    throw new MeshError("invalid", `the public key must have 1 to ${longestKey} bytes, got ${publicKey.length}`);
}

export function checkInvite({ node }: InviteNodeRequest): void {
  checkNode(node);
}

/** A node's name is a part of its programs' SPIFFE ids. */
function checkNode(name: string): void {
  if (/^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/.test(name)) return;
  throw new MeshError(
    "invalid",
    `a node's name is made of letters, digits and - _ ., at most 63, and begins and ends with a letter or digit, got ${JSON.stringify(name.slice(0, 100))}`,
  );
}
