import type { X509Certificate } from "node:crypto";
import type { X509SVIDResponse } from "../../api/gen/spiffe/workload.js";
import { MeshError } from "../../core/error.js";
import { parseDer, splitDer } from "../certificate.js";
import type { Identified } from "../source.js";
import { parseSpiffeId, parseTrustDomain } from "../spiffe.js";
import { parseKey, svidOf } from "../svid.js";
import { verifyChain } from "../verify.js";

/** The default SVID of an answer, checked, with its bundle and the federated ones. Throws MeshError with what is wrong with it. */
export function readResponse(response: X509SVIDResponse, now: number): Identified {
  const [first] = response.svids;
  if (first === undefined) throw new MeshError("denied", "the Workload API has no SVID for this program; is it registered there?");
  const svid = svidOf(certificates(first.x509Svid, "the SVID"), parseKey(first.x509SvidKey, "the SVID's key"));
  const bundles = new Map<string, readonly X509Certificate[]>([[svid.id.trustDomain, certificates(first.bundle, "the bundle")]]);
  for (const [domain, ders] of Object.entries(response.federatedBundles))
    bundles.set(trustDomainOf(domain), certificates(ders, `the bundle of ${domain}`));
  verifyChain(svid.chain, bundles, now);
  return { svid, bundles };
}

/** It is written both ways: `spiffe://domain` and `domain`. */
function trustDomainOf(key: string): string {
  return key.startsWith("spiffe://") ? parseSpiffeId(key).trustDomain : parseTrustDomain(key);
}

function certificates(ders: Uint8Array, what: string): X509Certificate[] {
  return parseDer(splitDer(ders, what), what);
}
