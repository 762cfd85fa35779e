import "reflect-metadata";
import { createPublicKey, type KeyObject, randomBytes, webcrypto, X509Certificate } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { generateKey } from "../../identity/keys.js";
import type { Identified } from "../../identity/source.js";
import { svidOf } from "../../identity/svid.js";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** A certificate with its key. */
export interface Made {
  readonly certificate: X509Certificate;
  readonly key: KeyObject;
}

export interface Wish {
  readonly uris?: readonly string[];
  /** Milliseconds since 1970. */
  readonly from: number;
  readonly to: number;
  readonly ca?: boolean;
  /** Itself unless given. */
  readonly by?: Made;
  readonly key?: KeyObject;
  /** Any unless given. */
  readonly name?: string;
}

/** Any certificate that a test wants, right or wrong. */
export async function certificate(wish: Wish): Promise<Made> {
  const key = wish.key ?? generateKey().privateKey;
  const by = wish.by?.key ?? key;
  const publicKey = new x509.PublicKey(publicDer(key));
  const name = [{ CN: [wish.name ?? randomBytes(4).toString("hex")] }];
  const made = await x509.X509CertificateGenerator.create({
    serialNumber: `40${randomBytes(15).toString("hex")}`,
    subject: name,
    issuer: wish.by === undefined ? name : new x509.X509Certificate(wish.by.certificate.raw).subject,
    notBefore: new Date(wish.from),
    notAfter: new Date(wish.to),
    publicKey,
    signingKey: await imported(by),
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(wish.ca ?? false, undefined, true),
      new x509.KeyUsagesExtension(wish.ca ? x509.KeyUsageFlags.keyCertSign : x509.KeyUsageFlags.digitalSignature, true),
      ...(wish.uris?.length ? [new x509.SubjectAlternativeNameExtension(wish.uris.map((value) => ({ type: "url", value })))] : []),
    ],
  });
  return { certificate: new X509Certificate(Buffer.from(made.rawData)), key };
}

/** An authority of a trust domain, good from 20 years before to 20 after `now`. */
export async function authority(now: number): Promise<Made> {
  const years = 20 * 365 * 86_400_000;
  return await certificate({ ca: true, from: now - years, to: now + years });
}

/** An SVID by this authority, good from a minute before `now` for `lifetimeMs`. */
export async function identified(by: Made, id: string, now: number, lifetimeMs = 3_600_000, key?: KeyObject): Promise<Identified> {
  const made = await certificate({ by, uris: [id], from: now - 60_000, to: now + lifetimeMs, ...(key && { key }) });
  const svid = svidOf([made.certificate], made.key);
  return { svid, bundles: new Map([[svid.id.trustDomain, [by.certificate]]]) };
}

export function pem(made: Made): { readonly certificate: string; readonly key: string } {
  return { certificate: made.certificate.toString(), key: made.key.export({ format: "pem", type: "pkcs8" }) as string };
}

function publicDer(key: KeyObject): Buffer {
  return createPublicKey(key).export({ format: "der", type: "spki" });
}

async function imported(key: KeyObject): Promise<webcrypto.CryptoKey> {
  const der = key.export({ format: "der", type: "pkcs8" });
  return await webcrypto.subtle.importKey("pkcs8", der, algorithm, true, ["sign"]);
}
