import { stringify } from "yaml";
import { podSegment } from "../../core/checkTokens.js";
import type { Clock } from "../../core/clock.js";
import { policyKind } from "../policy/document.js";
import type { Revision, Write } from "../store.js";
import type { Site } from "./site.js";

/** What a third site serves is not this one's to give. */
const ofOthers = "*@*";

/** What the site's policy has of the sites that it is joined with. */
export interface RulesParts {
  /** Names and patterns of the services that other sites may find here and ask for. */
  readonly exports: readonly string[];
  /** Services that never leave their site. */
  readonly home: readonly string[];
  readonly clock: Clock;
  /** Resolves when the policy has what was written at that revision. */
  readonly settled: (revision: Revision) => Promise<void>;
}

/** Where the rules of a joined site are, beside the administrator's own. */
export function rulesKey(site: string): string {
  return `${policyKind.prefix}peers/${site}`;
}

/** To be written together with the site itself, so that there never is one without the other. */
export function writeRules(site: Site, parts: RulesParts): Write {
  const document = { name: `peers/${site.name}`, version: 1, text: rulesOf(site, parts), appliedMs: parts.clock.now() };
  return { op: "put", key: rulesKey(site.name), value: policyKind.encode(document) };
}

/** The policy file for a site: its registry finds, its nodes' programs and the pods that they vouch for request and monitor. */
export function rulesOf({ name, trustDomain, registryId }: Site, { exports, home }: Pick<RulesParts, "exports" | "home">): string {
  const what = { services: [...exports], except: [...home, ofOthers] };
  const node = `spiffe://${trustDomain}/node/*`;
  const rules = [
    { name: `the registry of ${name}`, who: [registryId], may: ["find"], ...what },
    {
      name: `the nodes of ${name}`,
      who: [`${node}/nsmgr`, `${node}/nsmgr/${podSegment}/*`, `${node}/forwarder`],
      may: ["request", "monitor"],
      ...what,
    },
  ];
  return stringify({ allow: exports.length === 0 ? [] : rules }, { aliasDuplicateObjects: false });
}
