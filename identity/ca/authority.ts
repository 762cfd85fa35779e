import "reflect-metadata";
import { generateKeyPairSync, type KeyObject, randomBytes, webcrypto, X509Certificate } from "node:crypto";
import { existsSync, readFileSync, renameSync } from "node:fs";
import * as x509 from "@peculiar/x509";
import type { Clock } from "../../core/clock.js";
import { MeshError } from "../../core/error.js";
import { fingerprintOf, parsePem } from "../certificate.js";
import { readPrivate, writePrivate } from "../privateFile.js";
import { parseTrustDomain, type SpiffeId } from "../spiffe.js";
import { parseKey } from "../svid.js";
import { checkTime } from "../verify.js";

/** What an authority signs for one request. */
export interface Issued {
  /** The new certificate first. */
  readonly chain: readonly X509Certificate[];
  /** The authorities of its trust domain. */
  readonly authorities: readonly X509Certificate[];
}

/** Keys of an authority outlive many certificates. */
const authorityYears = 10;
/** For clocks that are a little behind. */
const backdateMs = 10_000;
const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

export interface AuthorityParts {
  readonly trustDomain: string;
  /** PEM; made when neither is there. The key's mode is 0600. */
  readonly keyFile: string;
  /** Its own certificate, then those of others that are to be trusted as well. */
  readonly certificateFile: string;
  /** Milliseconds that a certificate is good for. */
  readonly lifetimeMs: number;
  readonly clock: Clock;
}

/** The site's own small certificate authority: signs X.509 SVIDs of one trust domain. */
export class Authority {
  readonly trustDomain: string;
  /** Of those who may sign for the trust domain. This one's own is the first; others are there while one takes over from another. */
  readonly authorities: readonly X509Certificate[];
  readonly #key: webcrypto.CryptoKey;
  readonly #lifetimeMs: number;
  readonly #clock: Clock;

  private constructor(parts: AuthorityParts, authorities: readonly X509Certificate[], key: webcrypto.CryptoKey) {
    this.trustDomain = parts.trustDomain;
    this.authorities = authorities;
    this.#key = key;
    this.#lifetimeMs = parts.lifetimeMs;
    this.#clock = parts.clock;
  }

  /** Opens the authority of these files, or makes them. Throws "denied" for a key that others can read, "invalid" for files that do not fit. */
  static async open(parts: AuthorityParts): Promise<Authority> {
    parseTrustDomain(parts.trustDomain);
    finishMaking(parts);
    const keyText = readPrivate(parts.keyFile);
    if (keyText === undefined && !existsSync(parts.certificateFile))
      return await make(parts, (certificate, key) => new Authority(parts, [certificate], key));
    if (keyText === undefined || !existsSync(parts.certificateFile))
      throw new MeshError("invalid", `an authority needs both ${parts.keyFile} and ${parts.certificateFile}; one is not there`);
    const key = parseKey(keyText, parts.keyFile);
    const authorities = parsePem(readFileSync(parts.certificateFile, "utf8"), parts.certificateFile);
    checkAuthorities(parts, authorities, key);
    return new Authority(parts, authorities, await imported(key));
  }

  get certificate(): X509Certificate {
    return this.authorities[0] as X509Certificate;
  }

  /** SHA-256 of its certificate, hexadecimal: what a join token pins. */
  get fingerprint(): string {
    return fingerprintOf(this.certificate);
  }

  /** An SVID for `id` with that public key (SPKI, DER). Throws "denied" for another trust domain's id, "invalid" for a key that is not on P-256. */
  async issue(id: SpiffeId, publicKey: Uint8Array): Promise<Issued> {
    if (id.trustDomain !== this.trustDomain)
      throw new MeshError("denied", `${id.text} is not of the trust domain ${this.trustDomain}; this authority signs for no other`);
    const subject = await importPublic(publicKey, id.text);
    const now = this.#clock.now();
    const issuer = new x509.X509Certificate(this.certificate.raw);
    const notAfter = Math.min(now + this.#lifetimeMs, Date.parse(this.certificate.validTo));
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serial(),
      subject: [{ O: ["isthmus"] }],
      issuer: issuer.subject,
      notBefore: new Date(now - backdateMs),
      notAfter: new Date(notAfter),
      publicKey: subject,
      signingKey: this.#key,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
        new x509.SubjectAlternativeNameExtension([{ type: "url", value: id.text }]),
        await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      ],
    });
    return { chain: [new X509Certificate(Buffer.from(certificate.rawData))], authorities: this.authorities };
  }
}

async function make<T>(parts: AuthorityParts, use: (certificate: X509Certificate, key: webcrypto.CryptoKey) => T): Promise<T> {
  const { privateKey, publicKey: open } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const pem = privateKey.export({ format: "pem", type: "pkcs8" }) as string;
  const key = await imported(privateKey);
  const publicKey = await importPublic(open.export({ format: "der", type: "spki" }), "the authority");
  const now = parts.clock.now();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: [{ O: ["isthmus"] }, { CN: [parts.trustDomain.slice(0, 64)] }],
    notBefore: new Date(now - backdateMs),
    notAfter: new Date(now + authorityYears * 365 * 86_400_000),
    keys: { privateKey: key, publicKey },
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      new x509.SubjectAlternativeNameExtension([{ type: "url", value: `spiffe://${parts.trustDomain}` }]),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
    ],
  });
  // One file without the other would be taken for damage: the key takes its name when both are on disk.
  writePrivate(madeFile(parts), pem);
  writePrivate(parts.certificateFile, certificate.toString("pem"));
  finishMaking(parts);
  return use(new X509Certificate(Buffer.from(certificate.rawData)), key);
}

/** An earlier run may have ended right before this. */
function finishMaking(parts: AuthorityParts): void {
  const made = madeFile(parts);
  if (existsSync(made) && existsSync(parts.certificateFile) && !existsSync(parts.keyFile)) renameSync(made, parts.keyFile);
}

/** Where the key of a new authority is until its certificate is there. */
function madeFile({ keyFile }: AuthorityParts): string {
  return `${keyFile}.made`;
}

function checkAuthorities({ certificateFile, keyFile, clock }: AuthorityParts, all: readonly X509Certificate[], key: KeyObject): void {
  const [certificate] = all as [X509Certificate];
  if (all.some(({ ca }) => !ca)) throw new MeshError("invalid", `${certificateFile} is no authority's certificate: it may not sign others`);
  if (!certificate.checkPrivateKey(key)) throw new MeshError("invalid", `${keyFile} is not the key of ${certificateFile}`);
  if (key.asymmetricKeyDetails?.namedCurve !== "prime256v1") throw new MeshError("invalid", `the key in ${keyFile} must be on P-256`);
  checkTime(certificate, `the authority in ${certificateFile}`, clock.now());
}

async function imported(key: KeyObject): Promise<webcrypto.CryptoKey> {
  const der = key.export({ format: "der", type: "pkcs8" });
  return await webcrypto.subtle.importKey("pkcs8", der, algorithm, true, ["sign"]);
}

async function importPublic(spki: Uint8Array, what: string): Promise<webcrypto.CryptoKey> {
  try {
    return await webcrypto.subtle.importKey("spki", spki, algorithm, true, ["verify"]);
  } catch (error) {
    throw new MeshError("invalid", `the public key for ${what} must be one on P-256, as SubjectPublicKeyInfo`, { cause: error });
  }
}

function serial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString("hex");
}
