import { podSegment } from "../core/checkTokens.js";
import { MeshError } from "../core/error.js";

/** A SPIFFE id, parsed. (SPIFFE-ID.md of the SPIFFE standards.) */
export interface SpiffeId {
  /** As it is written: `spiffe://paris/node/paris-1/nsmgr`. */
  readonly text: string;
  readonly trustDomain: string;
  /** With the leading slash; "" for the id of a trust domain itself. */
  readonly path: string;
}

const longestId = 2048;
const trustDomainForm = /^[a-z0-9._-]{1,255}$/;
const segmentForm = /^[A-Za-z0-9._-]+$/;

/** Throws "invalid" with what is wrong. */
export function parseSpiffeId(text: string): SpiffeId {
  const shown = JSON.stringify(text.slice(0, 200));
  const [, trustDomain = "", path = ""] = /^spiffe:\/\/([^/]*)(\/.*)?$/s.exec(text) ?? [];
  if (text.length > longestId || !trustDomainForm.test(trustDomain))
    throw new MeshError(
      "invalid",
      `${shown} is no SPIFFE id; one looks like spiffe://trust-domain/path, in at most ${longestId} characters`,
    );
  for (const segment of path === "" ? [] : path.slice(1).split("/"))
    if (!segmentForm.test(segment) || segment === "." || segment === "..")
      throw new MeshError("invalid", `the path of ${shown} must be made of letters, digits and - _ . between single slashes`);
  return { text, trustDomain, path };
}

/** Whether two ids are of one trust domain, which is to say: of one site. Throws "invalid" for what is no id. */
export function ofOneSite(id: string, other: string): boolean {
  return parseSpiffeId(id).trustDomain === parseSpiffeId(other).trustDomain;
}

/** Throws "invalid" for what cannot be a trust domain. */
export function parseTrustDomain(text: string): string {
  if (trustDomainForm.test(text)) return text;
  throw new MeshError(
    "invalid",
    `a trust domain is made of lower-case letters, digits and - _ ., got ${JSON.stringify(text.slice(0, 100))}`,
  );
}

/** Ids that a rule means: `*` is a segment or a part of one, or any trust domain; `**` at the end is any rest, none too. */
export type IdPattern = (id: string) => boolean;

/** Throws "invalid" for a pattern that no id could match. */
export function parseIdPattern(text: string): IdPattern {
  const body = text.replace(/\/\*\*$/, "");
  const [, domain = "", path = ""] = /^spiffe:\/\/([^/]*)(.*)$/s.exec(body) ?? [];
  const segments = path.split("/");
  // Two in one segment could be made to try every way to share it out.
  if (segments.some((segment) => segment.split("*").length > 2) || (domain !== "*" && domain.includes("*")))
    throw new MeshError(
      "invalid",
      `in a pattern of SPIFFE ids, a part of the path has one * at most, a trust domain is * or has none, and ** stands at the end alone; got ${JSON.stringify(text.slice(0, 100))}`,
    );
  parseSpiffeId(body.replaceAll("*", "any"));
  const escaped = (part: string) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&");
  const meant = [domain, ...segments.slice(1)].map((part) => (part === "*" ? "[^/]+" : escaped(part).replace("*", "[^/]*")));
  const whole = new RegExp(`^spiffe://${meant.join("/")}${body === text ? "" : "(/.*)?"}$`);
  return (id) => whole.test(id);
}

/** The id of a pod that the owner of `id` vouches for: it lies under its own, so nobody can vouch for another's. */
export function podId(id: string, pod: string): string {
  const escaped = pod.replace(/[^A-Za-z0-9.-]/g, (character) => `_${character.charCodeAt(0).toString(16).padStart(2, "0")}`);
  return `${id}/${podSegment}/${/^\.+$/.test(escaped) ? escaped.replaceAll(".", "_2e") : escaped}`;
}
