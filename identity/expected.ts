import { MeshError } from "../core/error.js";
import { type IdPattern, parseIdPattern } from "./spiffe.js";

/** Whom a client expects at a URL. */
export interface Expected {
  readonly matches: IdPattern;
  /** For the sentence: "a forwarder". */
  readonly what: string;
}

/** `remote` is the nsmgr of another node. */
const roles = ["registry", "nsmgr", "remote", "forwarder", "endpoint"] as const;
type Role = (typeof roles)[number];

export interface Roles extends Readonly<Record<Exclude<Role, "remote">, Expected>> {
  /** Of the joined site whose trust domain that is; of this one without. What the configuration says of `remote` holds for both. */
  remote(ofSite: string | undefined): Expected;
}

/**
 * What each kind of program must be called. `patterns` are what the configuration says, by role; for the others, ids as the site's own
 * authority gives them where `own`, else anybody of the trust domain. Throws "invalid" for a role or pattern that makes no sense.
 */
export function expectedRoles(trustDomain: string, own: boolean, patterns: Readonly<Record<string, string>>): Roles {
  const unknown = Object.keys(patterns).find((role) => !(roles as readonly string[]).includes(role));
  if (unknown !== undefined) throw new MeshError("invalid", `NSM_PEER_IDS knows ${roles.join(", ")}, got ${JSON.stringify(unknown)}`);
  const anybody = `spiffe://${trustDomain}/**`;
  const usual: Readonly<Record<Exclude<Role, "remote">, string>> = {
    registry: own ? `spiffe://${trustDomain}/registry` : anybody,
    nsmgr: own ? `spiffe://${trustDomain}/node/*/nsmgr` : anybody,
    forwarder: own ? `spiffe://${trustDomain}/node/*/forwarder` : anybody,
    endpoint: anybody,
  };
  const expected = (role: Exclude<Role, "remote">): Expected => one(role, patterns[role] ?? usual[role]);
  // Found wrong at the start, not at the first call.
  const configured = patterns.remote === undefined ? undefined : one("remote", patterns.remote);
  return {
    ...{ registry: expected("registry"), nsmgr: expected("nsmgr"), forwarder: expected("forwarder"), endpoint: expected("endpoint") },
    remote: (ofSite) => {
      if (configured === undefined) return one("remote", `spiffe://${ofSite ?? trustDomain}/${own ? "node/*/nsmgr" : "**"}`);
      if (ofSite === undefined) return configured;
      const ofDomain = parseIdPattern(`spiffe://${ofSite}/**`);
      return { matches: (id) => ofDomain(id) && configured.matches(id), what: `${configured.what} of ${ofSite}` };
    },
  };
}

function one(role: Role, pattern: string): Expected {
  const what = { registry: "a registry", nsmgr: "an nsmgr", remote: "an nsmgr", forwarder: "a forwarder", endpoint: "an endpoint" }[role];
  return { matches: parseIdPattern(pattern), what: `${what} (${pattern})` };
}
