import type {
  InviteSiteRequest,
  InviteSiteResponse,
  JoinFederationRequest,
  JoinSiteRequest,
  SiteInfo,
} from "../../api/gen/isthmus/v1/site.js";
import type { Clock } from "../../core/clock.js";
import { MeshError } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import { offBy } from "../../core/skew.js";
import { formatSiteToken, parseSiteToken, type SiteToken } from "../../identity/ca/siteToken.js";
import { fingerprintOf } from "../../identity/certificate.js";
import { write } from "../admission/invitations.js";
import type { Entry, Store } from "../store.js";
import { newSiteInvitation, siteInvitationKey, useSiteInvitation } from "./invitation.js";
import { checkSiteName, infoOf, type Site, siteOf } from "./site.js";
import type { Sites } from "./sites.js";

const usualMs = 3_600_000;
const longestMs = 30 * 86_400_000;
/** Kept for a day after its end, so that it can be said that it has ended. */
const rememberedMs = 86_400_000;

export interface JoiningParts {
  readonly sites: Sites;
  /** What this site says of itself. */
  readonly own: () => Site;
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  /** Says to the registry that made the token who joins; it has to be signed by the authority that the token names. */
  readonly ask: (token: SiteToken, request: JoinFederationRequest, signal: AbortSignal) => Promise<SiteInfo>;
}

/** How two sites come to know each other: one makes a token, the other shows it, and each tells the other of itself. */
export class Joining {
  readonly #parts: JoiningParts;

  constructor(parts: JoiningParts) {
    this.#parts = parts;
  }

  async invite({ lifetimeMs }: InviteSiteRequest): Promise<InviteSiteResponse> {
    const { sites, own, store, clock, log } = this.#parts;
    checkSiteName(sites.name);
    const life = lifetimeMs || usualMs;
    if (life > longestMs) throw new MeshError("invalid", `a token is good for at most 30 days, got ${Math.round(life / 86_400_000)}`);
    const { id, secret, invitation } = newSiteInvitation(life, clock);
    const { expires } = invitation;
    const lease = await store.grant(life + rememberedMs);
    await store.commit({ writes: [{ op: "put", key: siteInvitationKey(id), value: write(invitation), lease }] });
    log.info("site invited", { invitation: id, until: new Date(expires).toISOString() });
    const { name: site, trustDomain, urls, bundle } = own();
    const authority = bundle[0] === undefined ? "" : fingerprintOf(bundle[0]);
    return {
      token: formatSiteToken({ url: urls[0] ?? "", authority, site, trustDomain, invitation: id, secret, expires }),
      expiresMs: expires,
    };
  }

  /** The side that made the token. Throws "denied", "invalid" or "exists" with what is wrong. */
  async admit({ invitation: id, secret, site: info }: JoinFederationRequest): Promise<SiteInfo> {
    const { sites, own, store, clock, log } = this.#parts;
    const site = siteOf(info as SiteInfo);
    const key = siteInvitationKey(id);
    const use = (found: Entry | undefined, joined: boolean) => useSiteInvitation(found, { id, secret, site, joined }, clock.now());
    // First of all: who was not invited is not told which sites there are.
    use(await store.get(key), sites.get(site.name) !== undefined);
    await sites.put(site, { key, decide: (found, joined) => ({ op: "put", key, value: write(use(found, joined)), lease: found?.lease }) });
    log.info("site joined", { site: site.name, trustDomain: site.trustDomain, urls: site.urls });
    return infoOf(own());
  }

  /** The side that got the token. */
  async join({ token: text }: JoinSiteRequest, signal: AbortSignal): Promise<Site> {
    const { sites, own, clock, log, ask } = this.#parts;
    checkSiteName(sites.name);
    const token = parseSiteToken(text);
    const { invitation, secret, expires } = token;
    sites.mustBeNew(token.site, token.trustDomain);
    const over = clock.now() - expires;
    if (over >= 0)
      throw new MeshError("denied", `the token ended at ${new Date(expires).toISOString()}, ${offBy(over)}; have another made`);
    const request = { invitation, secret: Buffer.from(secret), site: infoOf(own()) };
    const site = siteOf(await ask(token, request, signal));
    if (site.name !== token.site || site.trustDomain !== token.trustDomain)
      throw new MeshError(
        "denied",
        `the registry there is of ${site.name} (${site.trustDomain}), the token of ${token.site} (${token.trustDomain})`,
      );
    if (!site.bundle.some((authority) => fingerprintOf(authority) === token.authority))
      throw new MeshError("denied", `the authorities that ${site.name} gave do not include the one that the token names`);
    await sites.put(site);
    log.info("site joined", { site: site.name, trustDomain: site.trustDomain, urls: site.urls });
    return site;
  }
}
