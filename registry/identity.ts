import { join } from "node:path";
import { Authority } from "../identity/ca/authority.js";
import { RenewingSource } from "../identity/ca/renewing.js";
import { Identity } from "../identity/identity.js";
import { generateKey, spkiOf } from "../identity/keys.js";
import type { Identified } from "../identity/source.js";
import { parseSpiffeId } from "../identity/spiffe.js";
import { svidOf } from "../identity/svid.js";
import { type Opened, opened, openGiven } from "../program/identity.js";
import type { RegistryConfig } from "./config.js";
import type { RegistryParts } from "./start.js";

/** Who this registry is; with the site's authority, where it is that. */
export interface RegistryIdentity extends Opened {
  readonly authority: Authority | undefined;
}

export async function openRegistryIdentity(config: RegistryConfig, parts: RegistryParts): Promise<RegistryIdentity> {
  const { clock } = parts;
  const tokenLifetimeMs = config.maxTokenLifetime;
  const signal = parts.signal ?? new AbortController().signal;
  const given = await openGiven(config, { ...parts, signal });
  const authority = given === undefined ? await openAuthority(config, parts) : undefined;
  const source = given ?? (await ownSource(authority as Authority, parts));
  return { ...opened(config, source, new Identity({ source, clock, tokenLifetimeMs })), authority };
}

async function openAuthority(
  { stateDir, caKeyFile, caCertificateFile, trustDomain, site, svidLifetime }: RegistryConfig,
  { clock }: RegistryParts,
) {
  return await Authority.open({
    keyFile: caKeyFile || join(stateDir, "ca.key"),
    certificateFile: caCertificateFile || join(stateDir, "ca.pem"),
    trustDomain: trustDomain || site,
    lifetimeMs: svidLifetime,
    clock,
  });
}

/** Signed by itself; it shows the authority too, so that who only knows its fingerprint from a join token can check it. */
async function ownSource(authority: Authority, parts: RegistryParts): Promise<RenewingSource> {
  const id = parseSpiffeId(`spiffe://${authority.trustDomain}/registry`);
  const renew = async (key = generateKey().privateKey): Promise<Identified> => {
    const { chain, authorities } = await authority.issue(id, spkiOf(key));
    return { svid: svidOf([...chain, ...authorities], key), bundles: new Map([[authority.trustDomain, authorities]]) };
  };
  return new RenewingSource({ first: await renew(), renew, ...parts });
}
