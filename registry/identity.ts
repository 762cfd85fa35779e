import { join } from "node:path";
import type { Bundles } from "../identity/bundles.js";
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
  readonly own: OwnAuthority | undefined;
}

/** The site's authority, and what this registry itself shows by it. */
export interface OwnAuthority {
  readonly authority: Authority;
  readonly source: RenewingSource;
  /** Trusts these besides the site's own authority from now on. */
  trustAlso(foreign: Bundles): void;
}

export async function openRegistryIdentity(config: RegistryConfig, parts: RegistryParts): Promise<RegistryIdentity> {
  const { clock } = parts;
  const tokenLifetimeMs = config.maxTokenLifetime;
  const signal = parts.signal ?? new AbortController().signal;
  const given = await openGiven(config, { ...parts, signal });
  const own = given === undefined ? await ownAuthority(await openAuthority(config, parts), parts) : undefined;
  const source = given ?? (own as OwnAuthority).source;
  return { ...opened(config, source, new Identity({ source, clock, tokenLifetimeMs })), own };
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
async function ownAuthority(authority: Authority, parts: RegistryParts): Promise<OwnAuthority> {
  const { trustDomain } = authority;
  const id = parseSpiffeId(`spiffe://${trustDomain}/registry`);
  let foreign: Bundles = new Map();
  const bundles = (): Bundles => new Map([...foreign, [trustDomain, authority.authorities]]);
  const renew = async (key = generateKey().privateKey): Promise<Identified> => {
    const { chain, authorities } = await authority.issue(id, spkiOf(key));
    return { svid: svidOf([...chain, ...authorities.slice(0, 1)], key), bundles: bundles() };
  };
  const source = new RenewingSource({ first: await renew(), renew, ...parts });
  return {
    authority,
    source,
    trustAlso: (others) => {
      foreign = others;
      source.trust(bundles());
    },
  };
}
