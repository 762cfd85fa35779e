import "reflect-metadata";
import { randomBytes, webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { writePrivate } from "../../identity/privateFile.js";
import { memberName } from "./etcd.js";
import { siteFiles } from "./files.js";
import type { LabPlan, SitePlan } from "./layout.js";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const backdateMs = 60_000;
/** No lab lives longer. */
const lifeMs = 365 * 86_400_000;
const { serverAuth, clientAuth } = x509.ExtendedKeyUsage;

/**
 * The certificates of a site's etcd: one that its members show, at the addresses of their nodes, and one for its registries. The key
 * that signs them is written nowhere, so nobody else ever gets in, not even who has the site's authority.
 */
export async function makeEtcdCertificates({ prefix, nodes }: LabPlan, { name, etcd }: SitePlan, now: number): Promise<void> {
  const files = siteFiles(prefix, name);
  const authority = await newAuthority(`etcd of ${name}`, now);
  writePrivate(files.etcdCa, authority.certificate.toString("pem"));
  const hosts = nodes.filter((node) => etcd.some((member) => member.node === node.name));
  const addresses = hosts.map(({ address }) => ({ type: "ip" as const, value: address }));
  // A member is a client of its peers too.
  await write(authority, files.etcdPair("member"), memberName, [
    new x509.ExtendedKeyUsageExtension([serverAuth, clientAuth]),
    new x509.SubjectAlternativeNameExtension(addresses),
  ]);
  await write(authority, files.etcdPair("registry"), "registry", [new x509.ExtendedKeyUsageExtension([clientAuth])]);
}

interface Signer {
  readonly certificate: x509.X509Certificate;
  readonly key: webcrypto.CryptoKey;
}

async function newAuthority(commonName: string, now: number): Promise<Signer> {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...common(now),
    ...{ name: [{ CN: [commonName] }], keys },
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate, key: keys.privateKey };
}

async function write(
  by: Signer,
  files: { readonly cert: string; readonly key: string },
  commonName: string,
  extensions: readonly x509.Extension[],
): Promise<void> {
  const { publicKey, privateKey } = await newKeys();
  const certificate = await x509.X509CertificateGenerator.create({
    ...common(by.certificate.notBefore.getTime() + backdateMs),
    ...{ subject: [{ CN: [commonName] }], issuer: by.certificate.subject, publicKey, signingKey: by.key },
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      await x509.AuthorityKeyIdentifierExtension.create(by.certificate.publicKey),
      ...extensions,
    ],
  });
  writePrivate(files.key, await pemOf(privateKey));
  writePrivate(files.cert, certificate.toString("pem"));
}

function common(now: number) {
  const notBefore = new Date(now - backdateMs);
  const serialNumber = `40${randomBytes(15).toString("hex")}`;
  return { serialNumber, notBefore, notAfter: new Date(now + lifeMs), signingAlgorithm: algorithm };
}

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY");
}
