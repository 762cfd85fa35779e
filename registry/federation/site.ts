import type { X509Certificate } from "node:crypto";
import { SiteInfo } from "../../api/gen/isthmus/v1/site.js";
import { MeshError } from "../../core/error.js";
import { parseDer } from "../../identity/certificate.js";
import { parseSpiffeId, parseTrustDomain } from "../../identity/spiffe.js";
import { parseUrl } from "../../rpc/url.js";
import type { Kind } from "../kind.js";

/** A site, as its registry describes it. */
export interface Site {
  /** A DNS label. */
  readonly name: string;
  readonly trustDomain: string;
  /** The SPIFFE id of its registry. */
  readonly registryId: string;
  /** Where its registry is reached, in the order in which they are tried. */
  readonly urls: readonly string[];
  /** The authorities of its trust domain. */
  readonly bundle: readonly X509Certificate[];
}

const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** What another registry says of its site. Throws "invalid" with what is wrong. */
export function siteOf({ name, trustDomain, registryId, urls, bundle }: SiteInfo): Site {
  checkSiteName(name);
  parseTrustDomain(trustDomain);
  if (parseSpiffeId(registryId).trustDomain !== trustDomain)
    throw new MeshError(
      "invalid",
      `the registry of ${name} says that it is ${registryId}, which is not of its trust domain ${trustDomain}`,
    );
  if (urls.length === 0) throw new MeshError("invalid", `the site ${name} says no address of its registry`);
  for (const url of urls)
    if (parseUrl(url).kind === "unix")
      throw new MeshError(
        "invalid",
        `the site ${name} says that its registry is at ${url}, where only its own machine reaches it; its NSM_FEDERATION_URLS must name tcp:// urls`,
      );
  const authorities = parseDer(bundle?.certificates ?? [], `the bundle of ${name}`);
  if (authorities.some(({ ca }) => !ca))
    throw new MeshError("invalid", `the bundle of ${name} holds a certificate that may not sign others`);
  return { name, trustDomain, registryId, urls, bundle: authorities };
}

/** The inverse of siteOf. */
export function infoOf({ name, trustDomain, registryId, urls, bundle }: Site): SiteInfo {
  return { name, trustDomain, registryId, urls: [...urls], bundle: { certificates: bundle.map(({ raw }) => raw) } };
}

/** A sign of life comes so often. */
export const beatMs = 1_000;

/** A sign of life. */
export const beat: SiteInfo = SiteInfo.fromPartial({});

export function isBeat({ name }: SiteInfo): boolean {
  return name === "";
}

/** Throws "invalid" for what cannot stand after the @ of a name. */
export function checkSiteName(name: string): void {
  if (label.test(name)) return;
  throw new MeshError(
    "invalid",
    `a site that is joined with others needs a name of lower-case letters, digits and dashes, at most 63, got ${JSON.stringify(name.slice(0, 100))}; set NSM_SITE`,
  );
}

/** Any site, as a query. */
export const anySite: Site = { name: "", trustDomain: "", registryId: "", urls: [], bundle: [] };

export const siteKind: Kind<Site> = {
  word: "site",
  prefix: "sites/",
  name: ({ name }) => name,
  terms: () => [],
  matches: (query, { name }) => query.name === "" || query.name === name,
  encode: (site) => SiteInfo.encode(infoOf(site)).finish(),
  decode: ({ value }) => siteOf(SiteInfo.decode(value)),
};
