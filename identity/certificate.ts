import { X509Certificate } from "node:crypto";
import { MeshError } from "../core/error.js";

/** More certificates than a chain or bundle of any sane authority has, and more bytes than those have. */
const mostCertificates = 64;
const mostBytes = 256 * 1024;

/** The certificates of a PEM text, in order. Throws "invalid", naming `what`. */
export function parsePem(pem: string, what: string): X509Certificate[] {
  if (pem.length > mostBytes) throw new MeshError("invalid", `${what} has ${pem.length} characters; at most ${mostBytes} are taken`);
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  return parseAll(
    blocks.map((block) => () => new X509Certificate(block)),
    what,
  );
}

/** The same from DER. `concatenated`: one after the other, as the Workload API sends them. */
export function parseDer(ders: readonly Uint8Array[], what: string): X509Certificate[] {
  return parseAll(
    ders.map((der) => () => new X509Certificate(Buffer.from(der))),
    what,
  );
}

/** Cuts DER that holds several certificates one after the other. */
export function splitDer(bytes: Uint8Array, what: string): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    if (length === undefined || at + length > bytes.length || parts.length >= mostCertificates)
      throw new MeshError("invalid", `${what} is no row of at most ${mostCertificates} certificates in DER`);
    parts.push(bytes.subarray(at, at + length));
    at += length;
  }
  return parts;
}

/** The bytes of the SEQUENCE at `at`, its head too. */
function sequenceLength(bytes: Uint8Array, at: number): number | undefined {
  const short = bytes[at + 1];
  if (bytes[at] !== 0x30 || short === undefined) return undefined;
  if (short < 0x80) return 2 + short;
  const count = short & 0x7f;
  if (count === 0 || count > 4) return undefined;
  let length = 0;
  for (let i = 0; i < count; i++) length = length * 256 + (bytes[at + 2 + i] ?? 0);
  return 2 + count + length;
}

function parseAll(readers: readonly (() => X509Certificate)[], what: string): X509Certificate[] {
  if (readers.length === 0) throw new MeshError("invalid", `${what} holds no certificate`);
  if (readers.length > mostCertificates)
    throw new MeshError("invalid", `${what} holds ${readers.length} certificates; at most ${mostCertificates} are taken`);
  try {
    return readers.map((read) => read());
  } catch (error) {
    throw new MeshError("invalid", `${what} holds something that is no certificate: ${(error as Error).message}`, { cause: error });
  }
}

/** Milliseconds since 1970. */
export function validity(certificate: X509Certificate): { readonly notBefore: number; readonly notAfter: number } {
  return { notBefore: Date.parse(certificate.validFrom), notAfter: Date.parse(certificate.validTo) };
}

/** The URIs of its subjectAltName that begin with `spiffe:`. */
export function spiffeUris(certificate: X509Certificate): string[] {
  // Node puts a name in quotes where it could be taken for several; no SPIFFE id needs that, and what is in quotes is none.
  const names = (certificate.subjectAltName ?? "").split(", ").filter((name) => name.startsWith("URI:"));
  return names.map((name) => name.slice("URI:".length)).filter((uri) => uri.startsWith("spiffe:") || uri.startsWith('"'));
}

/** SHA-256 of a certificate, hexadecimal, without colons. */
export function fingerprintOf(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(":", "").toLowerCase();
}
