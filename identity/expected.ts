import { MeshError } from "../core/error.js";
import { type IdPattern, parseIdPattern } from "./spiffe.js";

/** Whom a client expects at a URL. */
export interface Expected {
  readonly matches: IdPattern;
  /** For the sentence: "a forwarder". */
  readonly what: string;
}

/** `remote` is the nsmgr of another node, of this site or of one that is joined with it. */
const roles = ["registry", "nsmgr", "remote", "forwarder", "endpoint"] as const;
export type Role = (typeof roles)[number];
export type Roles = Readonly<Record<Role, Expected>>;

/**
 * What each kind of program must be called. `patterns` are what the configuration says, by role; for the others, ids as the site's own
 * authority gives them where `own`, else anybody of the trust domain. Throws "invalid" for a role or pattern that makes no sense.
 */
export function expectedRoles(trustDomain: string, own: boolean, patterns: Readonly<Record<string, string>>): Roles {
  const unknown = Object.keys(patterns).find((role) => !(roles as readonly string[]).includes(role));
  if (unknown !== undefined) throw new MeshError("invalid", `NSM_PEER_IDS knows ${roles.join(", ")}, got ${JSON.stringify(unknown)}`);
  const anybody = `spiffe://${trustDomain}/**`;
  const usual: Readonly<Record<Role, string>> = {
    registry: own ? `spiffe://${trustDomain}/registry` : anybody,
    nsmgr: own ? `spiffe://${trustDomain}/node/*/nsmgr` : anybody,
    remote: own ? "spiffe://*/node/*/nsmgr" : "spiffe://*/**",
    forwarder: own ? `spiffe://${trustDomain}/node/*/forwarder` : anybody,
    endpoint: anybody,
  };
  const expected = (role: Role): Expected => {
    const pattern = patterns[role] ?? usual[role];
    return { matches: parseIdPattern(pattern), what: `${role === "endpoint" || role === "nsmgr" ? "an" : "a"} ${role} (${pattern})` };
  };
  const [registry, nsmgr, remote] = [expected("registry"), expected("nsmgr"), expected("remote")];
  return { registry, nsmgr, remote, forwarder: expected("forwarder"), endpoint: expected("endpoint") };
}
