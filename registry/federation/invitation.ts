import { randomBytes, timingSafeEqual } from "node:crypto";
import type { Clock } from "../../core/clock.js";
import { MeshError } from "../../core/error.js";
import { offBy } from "../../core/skew.js";
import { hashOf, read } from "../admission/invitations.js";
import type { Entry } from "../store.js";
import type { Site } from "./site.js";

/** What a registry keeps of the one-time token for another site: no secret. */
export interface SiteInvitation {
  /** SHA-256 of the secret, hexadecimal. */
  readonly secret: string;
  /** Milliseconds since 1970. */
  readonly expires: number;
  /** Who has used it, and when. */
  readonly used?: { readonly at: number; readonly by: string; readonly authorities: readonly string[] };
}

export function siteInvitationKey(id: string): string {
  return `admission/site-invitations/${id}`;
}

export function newSiteInvitation(lifetimeMs: number, clock: Clock) {
  const secret = randomBytes(32);
  const invitation: SiteInvitation = { secret: hashOf(secret), expires: clock.now() + lifetimeMs };
  return { id: randomBytes(12).toString("hex"), secret, invitation };
}

/** Throws "denied" unless `site` may join now with that secret; `joined` says whether it has already. Returns the invitation as used. */
export function useSiteInvitation(
  found: Entry | undefined,
  asked: { readonly id: string; readonly secret: Uint8Array; readonly site: Site; readonly joined: boolean },
  now: number,
): SiteInvitation {
  const { id, secret, site, joined } = asked;
  if (found === undefined)
    throw denied(`this registry knows no invitation ${id}: another site's registry made it, or this one too long ago; make another`);
  const invitation = read<SiteInvitation>(found.value);
  if (!timingSafeEqual(Buffer.from(invitation.secret), Buffer.from(hashOf(secret))))
    throw denied("the token is not as this registry made it: it was altered");
  const { used, expires } = invitation;
  const authorities = site.bundle.map(({ fingerprint256 }) => fingerprint256);
  // The same site again: the answer did not get through. One that was left since does not come back by what it used before.
  if (used !== undefined && (!joined || used.by !== site.name || used.authorities.join() !== authorities.join()))
    throw denied(
      `the token was used by the site ${used.by} at ${new Date(used.at).toISOString()}; it may be used once: make another with \`nsmctl site invite\``,
    );
  if (expires <= now) throw denied(`the token ended at ${new Date(expires).toISOString()}, ${offBy(now - expires)}; make another`);
  return { ...invitation, used: { at: used?.at ?? now, by: site.name, authorities } };
}

function denied(message: string): MeshError {
  return new MeshError("denied", message);
}
