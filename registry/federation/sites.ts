import { MeshError } from "../../core/error.js";
import type { Found } from "../../rpc/registry.js";
import { policyKind } from "../policy/document.js";
import type { Condition, Entry, Revision, Store, Write } from "../store.js";
import { View, type ViewParts } from "../view.js";
import { type RulesParts, rulesKey, rulesOf, writeRules } from "./rules.js";
import { anySite, type Site, siteKind } from "./site.js";

/** Two who write at once meet once or twice. */
const mostAttempts = 16;

/** What is written together with a site, about the entry of another key. `known`: whether the site is joined already. */
interface Also {
  readonly key: string;
  readonly decide: (found: Entry | undefined, known: boolean) => Write;
}

/** `name` and `trustDomain` are the own site's. */
export type SitesParts = Omit<ViewParts<Site>, "kind"> & Pick<Site, "name" | "trustDomain"> & { readonly rules: RulesParts };

/**
 * The sites that this one is joined with, as the store has them, each with its part of the policy: several registries with one store know
 * the same.
 */
export class Sites implements AsyncDisposable {
  /** The own site's. */
  readonly name: string;
  readonly trustDomain: string;
  readonly #store: Store;
  readonly #rules: RulesParts;
  readonly #view: View<Site>;

  private constructor({ name, trustDomain, store, rules }: SitesParts, view: View<Site>) {
    this.name = name;
    this.trustDomain = trustDomain;
    this.#store = store;
    this.#rules = rules;
    this.#view = view;
  }

  static async open(parts: SitesParts): Promise<Sites> {
    const sites = new Sites(parts, await View.open({ ...parts, kind: siteKind }));
    for (const site of sites.list()) await sites.#renewRules(site);
    return sites;
  }

  /** By name. */
  list(): Site[] {
    return this.#view.find(anySite).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  get(name: string): Site | undefined {
    return this.#view.get(name);
  }

  ofDomain(trustDomain: string): Site | undefined {
    return this.#view.find(anySite).find((site) => site.trustDomain === trustDomain);
  }

  watch(signal: AbortSignal): AsyncIterable<Found<Site>> {
    return this.#view.watch(anySite, signal);
  }

  /** Throws "exists" where a site of that name or trust domain is another one, or this one. */
  mustBeNew(name: string, trustDomain: string): void {
    if (name === this.name)
      throw new MeshError("exists", `both sites are called ${name}; give one of them another name (NSM_SITE of all of its programs)`);
    if (trustDomain === this.trustDomain)
      throw new MeshError("exists", `both sites have the trust domain ${trustDomain}; give one of them another one (NSM_TRUST_DOMAIN)`);
    const [known, owner] = [this.get(name), this.ofDomain(trustDomain)];
    if (known !== undefined && known.trustDomain !== trustDomain) throw otherSite(name, `with the trust domain ${known.trustDomain}`);
    if (owner !== undefined && owner.name !== name)
      throw new MeshError(
        "exists",
        `the trust domain ${trustDomain} is that of ${owner.name}, which is joined already; each site needs its own`,
      );
  }

  /**
   * Joins `site`, or takes over what it says of itself now, together with what `also` wants to write about the entry of `key`. Throws
   * "exists" for a site of that name that has no authority in common with the one which is known, and what `check` throws.
   */
  async put(site: Site, also?: Also, check: (known: boolean) => void = () => {}): Promise<void> {
    for (let attempt = 0; attempt < mostAttempts; attempt++) {
      this.mustBeNew(site.name, site.trustDomain);
      const [name, domain] = [siteKind.prefix + site.name, domainKey(site.trustDomain)];
      const keys = also === undefined ? [name, domain] : [name, domain, also.key];
      const found = await Promise.all(keys.map((key) => this.#store.get(key)));
      const [known, owner, other] = found;
      check(known !== undefined);
      if (known !== undefined) mustShareAuthority(siteKind.decode(known), site);
      if (owner !== undefined && text(owner) !== site.name) throw otherSite(text(owner), `with the trust domain ${site.trustDomain}`);
      const writes: Write[] = [
        { op: "put", key: name, value: siteKind.encode(site) },
        { op: "put", key: domain, value: Buffer.from(site.name) },
        writeRules(site, this.#rules),
      ];
      if (also !== undefined) writes.push(also.decide(other, known !== undefined));
      const conditions = keys.map((key, at): Condition => ({ key, revision: found[at]?.revision ?? 0 }));
      const { ok, revision } = await this.#store.commit({ conditions, writes });
      if (ok) return await this.#settled(revision, true, true);
    }
    throw new MeshError("conflict", `the site ${site.name} was changed by others ${mostAttempts} times while it was written; try again`);
  }

  /** Takes over what a joined site says of itself now; throws "not-found" for one that was left meanwhile: that does not join it again. */
  async change(site: Site): Promise<void> {
    await this.put(site, undefined, (known) => {
      if (!known) throw notJoined(site.name, this);
    });
  }

  /** Throws "not-found" for a site that is not joined. */
  async remove(name: string): Promise<void> {
    const site = this.get(name);
    if (site === undefined) throw notJoined(name, this);
    const hasRules = (await this.#store.get(rulesKey(name))) !== undefined;
    const keys = [siteKind.prefix + name, domainKey(site.trustDomain), rulesKey(name)];
    const { revision } = await this.#store.commit({ writes: keys.map((key) => ({ op: "delete", key })) });
    await this.#settled(revision, true, hasRules);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#view[Symbol.asyncDispose]();
  }

  /** What is exported may be another since the site was joined. Who is quicker, be it another registry of this site, knows as much. */
  async #renewRules(site: Site): Promise<void> {
    const key = siteKind.prefix + site.name;
    const [joined, rules] = await Promise.all([this.#store.get(key), this.#store.get(rulesKey(site.name))]);
    if (joined === undefined) return;
    if (rules !== undefined && policyKind.decode(rules).text === rulesOf(site, this.#rules)) return;
    const conditions: Condition[] = [
      { key, revision: joined.revision },
      { key: rulesKey(site.name), revision: rules?.revision ?? 0 },
    ];
    const { ok, revision } = await this.#store.commit({ conditions, writes: [writeRules(site, this.#rules)] });
    if (ok) await this.#settled(revision, false, true);
  }

  /** Resolves when what changed is seen here. */
  async #settled(revision: Revision, sites: boolean, rules: boolean): Promise<void> {
    const signal = new AbortController().signal;
    await Promise.all([sites && this.#view.settled(revision, signal), rules && this.#rules.settled(revision)]);
  }
}

/** For a name with an @ behind which nobody is. */
export function notJoined(name: string, sites: Pick<Sites, "name" | "list">): MeshError {
  const others = sites.list().map((site) => site.name);
  return new MeshError(
    "not-found",
    `${sites.name} is not joined with a site ${JSON.stringify(name)}; it is joined with ${others.join(", ") || "none"} (\`nsmctl site list\`)`,
  );
}

function mustShareAuthority(known: Site, site: Site): void {
  const trusted = new Set(known.bundle.map(({ fingerprint256 }) => fingerprint256));
  if (!site.bundle.some(({ fingerprint256 }) => trusted.has(fingerprint256))) throw otherSite(site.name, "with other authorities");
}

function otherSite(name: string, how: string): MeshError {
  return new MeshError(
    "exists",
    `a site ${name} is joined already, ${how}; \`nsmctl site leave ${name}\` first if it is to be replaced, else give the new one another name`,
  );
}

function domainKey(trustDomain: string): string {
  return `site-domains/${trustDomain}`;
}

function text({ value }: Entry): string {
  return Buffer.from(value).toString("utf8");
}
