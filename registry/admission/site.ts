import type { InviteNodeRequest, InviteNodeResponse } from "../../api/gen/isthmus/v1/site.js";
import { MeshError } from "../../core/error.js";
import { formatJoinToken } from "../../identity/ca/joinToken.js";
import type { SiteApi } from "../../rpc/identityApi.js";
import { invitationKey, newInvitation, write } from "./invitations.js";
import type { MembersParts } from "./members.js";

const usualMs = 3_600_000;
const longestMs = 30 * 86_400_000;

/** The part of isthmus.v1.Site that is about nodes. `url` is where they reach this registry. */
export function nodesApi(
  parts: Pick<MembersParts, "store" | "authority" | "clock" | "log"> & { readonly url: string },
): Pick<SiteApi, "inviteNode"> {
  const { store, authority, clock, log, url } = parts;
  return {
    async inviteNode({ node, lifetimeMs }: InviteNodeRequest): Promise<InviteNodeResponse> {
      const life = lifetimeMs || usualMs;
      if (life > longestMs)
        throw new MeshError("invalid", `a join token is good for at most 30 days, got ${Math.round(life / 86_400_000)}`);
      const { id, secret, invitation, rememberMs } = newInvitation(node, life, clock);
      const lease = await store.grant(rememberMs);
      await store.commit({ writes: [{ op: "put", key: invitationKey(id), value: write(invitation), lease }] });
      log.info("node invited", { node, invitation: id, until: new Date(invitation.expires).toISOString() });
      const { expires } = invitation;
      const token = formatJoinToken({ url, authority: authority.fingerprint, node, invitation: id, secret, expires });
      return { token, expiresMs: expires };
    },
  };
}

/** Where the site's identities come from elsewhere. */
export const noAuthority: SiteApi = {
  inviteNode: () => unsupported("its nodes get their identities"),
  inviteSite: () => unsupported("what other sites trust is decided"),
  joinSite: () => unsupported("whom its programs trust is decided"),
  listSites: () => unsupported("what other sites trust is decided"),
  leaveSite: () => unsupported("whom its programs trust is decided"),
};

function unsupported(what: string): Promise<never> {
  return Promise.reject(
    new MeshError("unsupported", `this registry has no authority of its own (NSM_IDENTITY is not ca): ${what} elsewhere`),
  );
}
