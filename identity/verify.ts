import type { X509Certificate } from "node:crypto";
import { MeshError } from "../core/error.js";
import type { Peer } from "../core/peer.js";
import { offBy } from "../core/skew.js";
import type { Bundles } from "./bundles.js";
import { spiffeUris, validity } from "./certificate.js";
import { parseSpiffeId, type SpiffeId } from "./spiffe.js";

/** Authorities between a certificate and one of the bundle. */
const deepest = 4;

/**
 * Who shows this chain (the own certificate first), checked against the bundle of its own trust domain and no other.
 * Throws "denied" with what is wrong with it.
 */
export function verifyChain(chain: readonly X509Certificate[], bundles: Bundles, now: number): Peer {
  const [leaf, ...between] = chain;
  if (leaf === undefined) throw denied("it showed no certificate");
  const id = idOf(leaf);
  checkLeaf(leaf, id.text);
  const authorities = bundles.get(id.trustDomain);
  if (authorities === undefined) throw denied(foreign(id, bundles));
  checkTime(leaf, `the certificate of ${id.text}`, now);
  if (!isIssued(leaf, between, authorities, now))
    throw denied(`the certificate of ${id.text} is signed by none of the authorities of the trust domain ${id.trustDomain}`);
  return { id: id.text, publicKey: leaf.publicKey };
}

/** Whether verifyChain takes it. */
export function isGood(chain: readonly X509Certificate[], bundles: Bundles, now: number): boolean {
  try {
    verifyChain(chain, bundles, now);
    return true;
  } catch {
    return false;
  }
}

/** The one SPIFFE id of a certificate. Throws "denied" where it has none, several, or one that is malformed. */
export function idOf(leaf: X509Certificate): SpiffeId {
  const [uri, ...more] = spiffeUris(leaf);
  const which = JSON.stringify(leaf.subject.replaceAll("\n", ", ").slice(0, 200));
  if (uri === undefined) throw denied(`the certificate ${which} has no SPIFFE id`);
  if (more.length > 0) throw denied(`the certificate ${which} has ${more.length + 1} SPIFFE ids; it must have one`);
  try {
    return parseSpiffeId(uri);
  } catch (error) {
    throw denied((error as Error).message);
  }
}

function checkLeaf(leaf: X509Certificate, id: string): void {
  if (leaf.ca) throw denied(`the certificate of ${id} is an authority's; those sign others and are shown by nobody`);
  const { asymmetricKeyType, asymmetricKeyDetails } = leaf.publicKey;
  if (asymmetricKeyType !== "ec" || asymmetricKeyDetails?.namedCurve !== "prime256v1")
    throw denied(`the key of ${id} is ${asymmetricKeyDetails?.namedCurve ?? asymmetricKeyType}; it must be on P-256, for tokens are ES256`);
}

function foreign({ text, trustDomain }: SpiffeId, bundles: Bundles): string {
  return `${text} is of the trust domain ${trustDomain}, which is not trusted here; trusted are: ${[...bundles.keys()].join(", ") || "none"}`;
}

/** Throws "denied" when it is over or has not begun, and says by how much, for clocks may differ. */
export function checkTime(certificate: X509Certificate, what: string, now: number): void {
  const { notBefore, notAfter } = validity(certificate);
  if (now > notAfter) throw denied(`${what} expired at ${new Date(notAfter).toISOString()}, ${offBy(now - notAfter)}`);
  if (now < notBefore) throw denied(`${what} is not valid before ${new Date(notBefore).toISOString()}, ${offBy(notBefore - now)}`);
}

/** Each certificate between is looked at once: whoever shows many that sign one another does not make us try all their orders. */
function isIssued(
  leaf: X509Certificate,
  between: readonly X509Certificate[],
  authorities: readonly X509Certificate[],
  now: number,
): boolean {
  let reached: readonly X509Certificate[] = [leaf];
  let left = between;
  for (let depth = 0; depth <= deepest && reached.length > 0; depth++) {
    if (reached.some((certificate) => authorities.some((authority) => signed(authority, certificate, now)))) return true;
    const next = left.filter((candidate) => reached.some((certificate) => signed(candidate, certificate, now)));
    left = left.filter((candidate) => !next.includes(candidate));
    reached = next;
  }
  return false;
}

/** `checkIssued` compares names, key identifiers and what the issuer's key may be used for. */
function signed(issuer: X509Certificate, certificate: X509Certificate, now: number): boolean {
  const { notBefore, notAfter } = validity(issuer);
  return issuer.ca && notBefore <= now && now <= notAfter && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function denied(message: string): MeshError {
  return new MeshError("denied", message);
}
