import { join } from "node:path";
import type { Clock } from "../core/clock.js";
import { MeshError } from "../core/error.js";
import type { Log } from "../core/log.js";
import { type AuthorityClient, openMember } from "../identity/ca/member.js";
import { expectedRoles, type Roles } from "../identity/expected.js";
import { FileSource } from "../identity/files.js";
import { Identity } from "../identity/identity.js";
import type { IdentitySource } from "../identity/source.js";
import { WorkloadApiSource } from "../identity/workloadApi/source.js";
import { type ConfigOf, setting } from "./config.js";
import { labels, list, oneOf, optionalText, text } from "./values.js";

/** Where a program's identity comes from. */
export const identitySettings = {
  identity: setting(
    "NSM_IDENTITY",
    "where the identity comes from: the site's own authority (ca), files that somebody renews (files), or a SPIFFE Workload API (workload-api)",
    oneOf("ca", "files", "workload-api"),
    "ca",
  ),
  svidCertificateFile: setting("NSM_SVID_CERT_FILE", "the certificate chain, PEM, where the identity is in files", optionalText, ""),
  svidKeyFile: setting("NSM_SVID_KEY_FILE", "its key, PEM, mode 0600", optionalText, ""),
  svidBundleFile: setting("NSM_SVID_BUNDLE_FILE", "the authorities of the trust domain, PEM", optionalText, ""),
  spiffeEndpointSocket: setting("SPIFFE_ENDPOINT_SOCKET", "the socket of the Workload API", text, "unix:///run/spire/sockets/agent.sock"),
  peerIds: setting(
    "NSM_PEER_IDS",
    "SPIFFE ids that others must have, as registry:spiffe://a/registry,nsmgr:spiffe://a/*/nsmgr; * is a part or some of one, ** at the end any rest",
    labels,
    "",
  ),
};

/** The same for the programs of a node. */
export const memberSettings = {
  ...identitySettings,
  registryUrls: setting(
    "NSM_REGISTRY_URL",
    "the site's registries, for the identity's renewal where the one that made the join token is away",
    list,
    "",
  ),
  joinTokenFile: setting("NSM_JOIN_TOKEN_FILE", "a file (mode 0600) with the one-time token of `nsmctl node invite`", optionalText, ""),
};

interface Parts {
  readonly clock: Clock;
  readonly log: Log;
  /** Ends the wait for an identity. */
  readonly signal: AbortSignal;
}

/** A program's identity, and whom it expects where. Disposing ends its renewals. */
export interface Opened extends AsyncDisposable {
  readonly identity: Identity;
  readonly roles: Roles;
}

type IdentityConfig = ConfigOf<typeof identitySettings>;

/** An identity of a program of a node. Rejects with MeshError when there is none to be had. */
export async function openIdentity(
  config: ConfigOf<typeof memberSettings> & { readonly stateDir: string; readonly maxTokenLifetime: number },
  parts: Parts & {
    /** As in its SPIFFE id. */
    readonly program: "nsmgr" | "forwarder";
    readonly authority: AuthorityClient;
    readonly claims?: Readonly<Record<string, unknown>>;
  },
): Promise<Opened> {
  const tokenLifetimeMs = config.maxTokenLifetime;
  const { clock, program, authority, claims } = parts;
  let shown: Identity | undefined;
  const source =
    (await openGiven(config, parts)) ??
    (await openMember({
      ...parts,
      ...{ program, authority, file: join(config.stateDir, "identity.json"), tokenFile: config.joinTokenFile },
      registryUrls: config.registryUrls,
      showing: (own) => {
        shown ??= new Identity({ source: own, clock, tokenLifetimeMs });
        return shown;
      },
    }));
  return opened(config, source, new Identity({ source, clock, tokenLifetimeMs, claims }));
}

/** From files or a Workload API; undefined where the site's own authority is to give it. */
export async function openGiven(config: IdentityConfig, parts: Parts): Promise<IdentitySource | undefined> {
  if (config.identity === "workload-api") return await WorkloadApiSource.open({ socket: config.spiffeEndpointSocket, ...parts });
  if (config.identity === "ca") return undefined;
  const { svidCertificateFile: certificateFile, svidKeyFile: keyFile, svidBundleFile: bundleFile } = config;
  if (certificateFile === "" || keyFile === "" || bundleFile === "")
    throw new MeshError("invalid", "NSM_IDENTITY=files needs NSM_SVID_CERT_FILE, NSM_SVID_KEY_FILE and NSM_SVID_BUNDLE_FILE");
  return new FileSource({ certificateFile, keyFile, bundleFile, ...parts });
}

export function opened(config: IdentityConfig, source: IdentitySource, identity: Identity): Opened {
  return {
    identity,
    roles: expectedRoles(source.current.id.trustDomain, config.identity === "ca", config.peerIds),
    async [Symbol.asyncDispose]() {
      identity[Symbol.dispose]();
      await source[Symbol.asyncDispose]();
    },
  };
}
