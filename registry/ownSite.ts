import { randomInt } from "node:crypto";
import type { Bundles } from "../identity/bundles.js";
import type { Identity } from "../identity/identity.js";
import { Peers } from "../rpc/client.js";
import type { SiteApi } from "../rpc/identityApi.js";
import { siteJoiner } from "../rpc/joinSite.js";
import { limits } from "../rpc/limits.js";
import { publishedUrl } from "../rpc/published.js";
import { Members } from "./admission/members.js";
import { checkAuthority } from "./admission/oneAuthority.js";
import { nodesApi } from "./admission/site.js";
import type { RegistryConfig } from "./config.js";
import { type FederatedSite, openFederatedSite } from "./federation/open.js";
import type { Site } from "./federation/site.js";
import type { OwnAuthority } from "./identity.js";
import type { SitePolicy } from "./policy/sitePolicy.js";
import type { Registries, RegistryParts } from "./start.js";
import type { Store } from "./store.js";

/** The kernel asks a second time after a second: with this and the pauses between attempts, one that comes back hears of us within a second. */
const dialTimeoutMs = 1_500;

/** One thing each, and none is larger that a registry of ours would have taken. */
const answerBytes = 2 * limits.message;

type Parts = RegistryParts & OwnAuthority & { readonly store: Store; readonly identity: Identity };

/** A site with an authority of its own: its nodes join it, and it joins with other sites. */
export class OwnSite {
  readonly members: Members;
  readonly #config: RegistryConfig;
  readonly #parts: Parts;
  #urls: readonly string[] = [];

  constructor(config: RegistryConfig, parts: Parts) {
    this.#config = config;
    this.#parts = parts;
    this.members = new Members({ ...parts, trust: parts.source });
  }

  /** Where the registry really listens. */
  listens(urls: readonly string[]): void {
    this.#urls = urls;
  }

  async open({ services, endpoints, segments }: Registries, policy: SitePolicy): Promise<FederatedSite> {
    const { identity, authority, store, log, clock } = this.#parts;
    await checkAuthority(store, authority);
    const { site: name, export: exports, segmentsPerSite, forwarderService } = this.#config;
    return await openFederatedSite({
      ...{
        ...this.#parts,
        services,
        endpoints,
        segments,
        exports,
        segmentsPerSite,
        name,
        registryId: identity.id,
        trustDomain: authority.trustDomain,
      },
      home: [forwarderService],
      policySettled: (revision) => policy.settled(revision),
      own: () => this.#own(),
      dial: ({ name, registryId }) => {
        const expected = { matches: (id: string) => id === registryId, what: `the registry of ${name} (${registryId})` };
        return new Peers({ identity, expect: () => expected, log, clock, dialTimeoutMs, answerBytes });
      },
      ask: siteJoiner(clock),
      trust: (sites) => this.#parts.trustAlso(bundlesOf(sites)),
      random: () => randomInt(2 ** 32) / 2 ** 32,
    });
  }

  /** isthmus.v1.Site. */
  api({ admin }: FederatedSite): SiteApi {
    return { ...nodesApi({ ...this.#parts, url: publishedUrl(this.#urls) }), ...admin };
  }

  #own(): Site {
    const { authority, identity } = this.#parts;
    const { site: name, federationUrls } = this.#config;
    const urls = federationUrls.length > 0 ? federationUrls : [publishedUrl(this.#urls)];
    return { name, trustDomain: authority.trustDomain, registryId: identity.id, urls, bundle: authority.authorities };
  }
}

function bundlesOf(sites: readonly Site[]): Bundles {
  return new Map(sites.map(({ trustDomain, bundle }) => [trustDomain, bundle]));
}
