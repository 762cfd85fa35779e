import type { X509Certificate } from "node:crypto";
import { X509Certificate as Certificate } from "node:crypto";
import type { DetailedPeerCertificate, TLSSocket } from "node:tls";

const deepest = 8;

/** What the other side showed: its own certificate first. Empty where it showed none. */
export function shownBy(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let at: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  while (at?.raw !== undefined && chain.length < deepest) {
    chain.push(new Certificate(at.raw));
    // The last one is its own issuer.
    at = at.issuerCertificate === at ? undefined : at.issuerCertificate;
  }
  return chain;
}
