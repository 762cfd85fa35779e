import type { Clock } from "../../core/clock.js";
import type { Log } from "../../core/log.js";
import { noSinks, type Sinks } from "../../core/observed.js";
import type { FederationApi, SiteApi } from "../../rpc/identityApi.js";
import type { EndpointRegistry, ServiceRegistry } from "../../rpc/registry.js";
import { type CopyCounts, copyGauges } from "../gauges.js";
import type { SegmentBook } from "../segments/book.js";
import { Copies } from "../segments/copies.js";
import type { Store } from "../store.js";
import { federationApi, sitesApi } from "./apis.js";
import { Federation, type FederationParts } from "./federation.js";
import { Joining, type JoiningParts } from "./joining.js";
import { federatedRegistries } from "./registries.js";
import type { RulesParts } from "./rules.js";
import type { Site } from "./site.js";
import { Sites } from "./sites.js";

export interface FederatedSiteParts {
  readonly name: string;
  readonly trustDomain: string;
  /** The SPIFFE id of its registry. */
  readonly registryId: string;
  /** What this site says of itself. */
  readonly own: () => Site;
  /** The own site's registries. */
  readonly services: ServiceRegistry;
  readonly endpoints: EndpointRegistry;
  /** Names and patterns of the services that joined sites may find and ask for. */
  readonly exports: readonly string[];
  readonly policySettled: RulesParts["settled"];
  /** Services that stay within their site, and that no other site is asked for. */
  readonly home: readonly string[];
  /** How many of each other site this one takes part in. */
  readonly segmentsPerSite: number;
  /** Of this site, and copies of those that it takes part in. */
  readonly segments: SegmentBook;
  readonly store: Store;
  readonly dial: FederationParts["dial"];
  readonly ask: JoiningParts["ask"];
  readonly trust: FederationParts["trust"];
  readonly random: () => number;
  readonly sinks?: Sinks | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

/** A site's registries together with the other sites, and what the administrator and those sites can ask. */
export interface FederatedSite extends AsyncDisposable {
  readonly services: ServiceRegistry;
  readonly endpoints: EndpointRegistry;
  readonly api: FederationApi;
  readonly admin: Pick<SiteApi, "inviteSite" | "joinSite" | "listSites" | "leaveSite">;
  readonly federation: Federation;
  readonly copies: CopyCounts;
}

/** Goes on with the sites that the store knows. Disposing ends the watches there; what was joined stays joined. */
export async function openFederatedSite(parts: FederatedSiteParts): Promise<FederatedSite> {
  const { own, clock, segments } = parts;
  const sites = await Sites.open({ ...parts, rules: { ...parts, settled: parts.policySettled } });
  const copies = new Copies({ ...parts, site: parts.name, book: segments, registryId: parts.registryId, most: parts.segmentsPerSite });
  copyGauges((parts.sinks ?? noSinks).meter, copies);
  const federation = new Federation({ ...parts, sites, copies });
  const joining = new Joining({ ...parts, sites });
  const registries = federatedRegistries({ ...parts, federation });
  return {
    ...registries,
    api: federationApi({ federation, joining, own, segments, clock }),
    admin: sitesApi({ federation, joining }),
    ...{ federation, copies },
    async [Symbol.asyncDispose]() {
      await federation[Symbol.asyncDispose]();
      await copies[Symbol.asyncDispose]();
      await sites[Symbol.asyncDispose]();
    },
  };
}
