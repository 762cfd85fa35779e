import { type KeyObject, verify } from "node:crypto";
import { MeshError } from "./error.js";
import { RecentMap } from "./recentMap.js";
import { offBy } from "./skew.js";

/** A token of the path, read but not trusted (RFC 7519). */
export interface Jwt {
  readonly algorithm: string;
  /** The SPIFFE id in whose name it speaks. */
  readonly subject: string;
  /** Whom it was made for. */
  readonly audience: readonly string[];
  /** Milliseconds since 1970. */
  readonly expires: number;
  /** Certificates that it brings along, its signer's first, DER in base64 (RFC 7515, x5c). */
  readonly certificates: readonly string[];
  readonly claims: Readonly<Record<string, unknown>>;
  readonly text: string;
}

const mostCertificates = 8;

/** The same tokens come again with every request of a hop, and reading and checking them costs more than all the rest of it. */
const mostKept = 2048;
const read = new RecentMap<string, Jwt>(mostKept);
/** By key, the tokens that it has signed: that never changes. */
const signed = new WeakMap<KeyObject, RecentMap<string, true>>();

/** The last second of the year 9999: what comes later is no time. */
const latest = 253_402_300_799;

/** Reads a token. Undefined for what is none. */
export function decodeJwt(text: string): Jwt | undefined {
  const known = read.get(text);
  if (known !== undefined) return known;
  const jwt = decode(text);
  if (jwt !== undefined) read.set(text, jwt);
  return jwt;
}

function decode(text: string): Jwt | undefined {
  const [head, body, signature, ...more] = text.split(".");
  if (head === undefined || body === undefined || signature === undefined || more.length > 0) return undefined;
  const [header, claims] = [object(head), object(body)];
  if (header === undefined || claims === undefined || typeof claims.sub !== "string" || !isTime(claims.exp)) return undefined;
  return {
    algorithm: String(header.alg),
    subject: claims.sub,
    audience: texts(typeof claims.aud === "string" ? [claims.aud] : claims.aud),
    expires: claims.exp * 1000,
    certificates: texts(header.x5c).slice(0, mostCertificates),
    claims,
    text,
  };
}

function isTime(seconds: unknown): seconds is number {
  return typeof seconds === "number" && seconds >= 0 && seconds <= latest;
}

/** Whether that key has signed it, with ES256. */
export function isSignedBy({ text, algorithm }: Jwt, key: KeyObject): boolean {
  if (algorithm !== "ES256" || key.asymmetricKeyDetails?.namedCurve !== "prime256v1") return false;
  const known = signed.get(key) ?? new RecentMap<string, true>(mostKept);
  if (known.get(text) === true) return true;
  if (!verified(text, key)) return false;
  known.set(text, true);
  signed.set(key, known);
  return true;
}

function verified(text: string, key: KeyObject): boolean {
  const end = text.lastIndexOf(".");
  const signature = Buffer.from(text.slice(end + 1), "base64url");
  return verify("sha256", Buffer.from(text.slice(0, end)), { key, dsaEncoding: "ieee-p1363" }, signature);
}

/** The `sub` of a token, without checking its signature; undefined where there is none to read. */
export function subjectOf(token: string): string | undefined {
  const known = read.get(token);
  if (known !== undefined) return known.subject;
  const claims = object(token.split(".")[1] ?? "");
  return typeof claims?.sub === "string" ? claims.sub : undefined;
}

/** As `decodeJwt`, but throws "denied" for what is none, for another algorithm than ES256, and for one that has ended. */
export function readToken(text: string, whose: string, now: number): Jwt {
  const jwt = decodeJwt(text);
  if (jwt === undefined) throw new MeshError("denied", `the token of ${whose} is no JWT with a subject and an expiry`);
  if (jwt.algorithm !== "ES256")
    throw new MeshError("denied", `the token of ${whose} is signed with ${JSON.stringify(jwt.algorithm)}; only ES256 is taken`);
  if (jwt.expires <= now)
    throw new MeshError("denied", `the token of ${whose} ended at ${new Date(jwt.expires).toISOString()}, ${offBy(now - jwt.expires)}`);
  return jwt;
}

function object(part: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
    return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    return undefined;
  }
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];
}
