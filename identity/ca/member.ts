import type { KeyObject, X509Certificate } from "node:crypto";
import { existsSync, rmSync } from "node:fs";
import { z } from "zod";
import type { Clock } from "../../core/clock.js";
import { asMeshError, isAway, MeshError } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import { pausesUntil } from "../../core/pauses.js";
import type { Bundles } from "../bundles.js";
import { parsePem } from "../certificate.js";
import type { Showing } from "../identity.js";
import { generateKey, spkiOf } from "../keys.js";
import { readPrivate, writePrivate } from "../privateFile.js";
import type { Identified } from "../source.js";
import { parseKey, svidOf } from "../svid.js";
import { verifyChain } from "../verify.js";
import { Addresses } from "./addresses.js";
import { joinerWith, signedBy } from "./joiner.js";
import { type JoinToken, readJoinToken } from "./joinToken.js";
import { RenewingSource } from "./renewing.js";

/** What the authority gives. */
export interface Granted {
  readonly chain: readonly X509Certificate[];
  readonly bundles: Bundles;
}

/** The site's authority, as the programs of a node reach it. Rejects with MeshError; "unreachable" and "timeout" are worth another try. */
export interface AuthorityClient {
  join(
    url: string,
    showing: Showing,
    request: { readonly program: string; readonly node: string; readonly token: JoinToken | undefined },
    signal: AbortSignal,
  ): Promise<Granted>;
  renew(url: string, showing: Showing, publicKey: Uint8Array, signal: AbortSignal): Promise<Granted>;
  /** Whom the site trusts, at once and after each change. */
  followTrust(url: string, showing: Showing, signal: AbortSignal): AsyncIterable<Bundles>;
}

export interface MemberParts {
  /** Keeps key, certificate, bundles and where the registry is, mode 0600. */
  readonly file: string;
  readonly tokenFile: string;
  /** Other addresses of the site's registries than the token's, for when that one is away. */
  readonly registryUrls: readonly string[];
  /** "nsmgr" or "forwarder". */
  readonly program: string;
  readonly authority: AuthorityClient;
  /** What the program shows once it has an identity, for renewals. */
  readonly showing: (source: RenewingSource) => Showing;
  readonly clock: Clock;
  readonly log: Log;
  /** Ends the wait for a registry that is away. */
  readonly signal: AbortSignal;
}

interface Kept extends Identified {
  readonly url: string;
  readonly node: string;
}

const firstPauseMs = 200;
const longestPauseMs = 5_000;

/**
 * The identity of a program of a node: the one that it kept; where that has ended, another for the key that it kept; where there is
 * none, or that is not taken any more, what a one-time token gets. Waits for a registry that is away; rejects with "denied" and
 * "invalid" when there is none to be had.
 */
export async function openMember(parts: MemberParts): Promise<RenewingSource> {
  const { clock, authority, log, file } = parts;
  const kept = read(file);
  const first = kept !== undefined && kept.svid.notAfter > clock.now() ? kept : await patiently(parts, () => taken(parts, kept));
  const registries = new Addresses(first.url, parts.registryUrls);
  if (first !== kept) keep(file, first);
  rmSync(pendingFile(file), { force: true });
  const source: RenewingSource = new RenewingSource({
    ...{ first, clock, log },
    renew: async (key, signal) =>
      identified(key, await registries.ask((url) => authority.renew(url, parts.showing(source), spkiOf(key), signal)), clock.now()),
    keep: (fresh) => keep(file, { ...first, ...fresh }),
    // Not before there is a source to show.
    follow: async (trust, signal) => await Promise.resolve().then(() => followTrust(parts, { registries, source, trust, signal })),
  });
  return source;
}

async function followTrust(
  { authority, showing, clock, log }: MemberParts,
  from: {
    readonly registries: Addresses;
    readonly source: RenewingSource;
    readonly trust: (bundles: Bundles) => void;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { registries, source, trust, signal } = from;
  for await (const pauses of pausesUntil(signal, clock)) {
    const url = registries.current;
    try {
      for await (const bundles of authority.followTrust(url, showing(source), signal)) {
        pauses.reset();
        // Whatever else is trusted: without its own domain a program could not even hear of the next change.
        if (bundles.has(source.current.id.trustDomain)) trust(bundles);
      }
    } catch (error) {
      log.debug("trusted domains not followed, the registry is away", { reason: asMeshError(error).message });
    }
    registries.leave(url);
  }
}

/** Who is refused with what it kept, and was told to have its node invited again, comes with another token. */
async function taken(parts: MemberParts, kept: Kept | undefined): Promise<Kept> {
  try {
    return await joined(parts, kept);
  } catch (error) {
    if (kept === undefined || asMeshError(error).code !== "denied" || !existsSync(parts.tokenFile)) throw error;
    return await joined(parts, undefined).catch(() => {
      throw error;
    });
  }
}

async function joined(parts: MemberParts, kept: Kept | undefined): Promise<Kept> {
  const { authority, clock, program, registryUrls, signal } = parts;
  const now = clock.now();
  const token = kept === undefined ? readJoinToken(parts.tokenFile) : undefined;
  const key = kept?.svid.privateKey ?? pendingKey(parts.file);
  const { url, node } = (token ?? kept) as { readonly url: string; readonly node: string };
  const trust =
    token === undefined
      ? (chain: readonly X509Certificate[]) => verifyChain(chain, kept?.bundles ?? new Map(), now)
      : signedBy(token.authority, now);
  const showing = joinerWith(key, { name: `${program} of ${node}`, clock, trust });
  const registries = new Addresses(url, registryUrls);
  const granted = await registries.ask((at) => authority.join(at, showing, { program, node, token }, signal));
  return { ...identified(key, granted, now), url, node };
}

/** The key goes to disk before it is shown: when the answer is lost, the same one asks again. */
function pendingKey(file: string): KeyObject {
  const pending = pendingFile(file);
  const text = readPrivate(pending);
  if (text !== undefined) return parseKey(text, pending);
  const { privateKey } = generateKey();
  writePrivate(pending, privateKey.export({ format: "pem", type: "pkcs8" }) as string);
  return privateKey;
}

function pendingFile(file: string): string {
  return `${file}.key`;
}

/** What the authority gave is looked at as any other SVID is. */
function identified(key: KeyObject, { chain, bundles }: Granted, now: number): Identified {
  const svid = svidOf(chain, key);
  verifyChain(svid.chain, bundles, now);
  return { svid, bundles };
}

async function patiently<T>({ clock, log, signal }: MemberParts, task: () => Promise<T>): Promise<T> {
  let told = "";
  for (let pause = firstPauseMs; ; pause = Math.min(2 * pause, longestPauseMs)) {
    try {
      return await task();
    } catch (error) {
      if (!isAway(error)) throw error;
      const { message } = asMeshError(error);
      if (message !== told) log.warn("no identity yet, the registry is away", { reason: message });
      told = message;
      await clock.sleep(pause, signal);
    }
  }
}

const form = z.object({
  url: z.string(),
  node: z.string(),
  key: z.string(),
  chain: z.string(),
  bundles: z.record(z.string(), z.string()),
});

function keep(file: string, { url, node, svid, bundles }: Kept): void {
  const text = {
    ...{ url, node, chain: svid.chain.join("") },
    key: svid.privateKey.export({ format: "pem", type: "pkcs8" }) as string,
    bundles: Object.fromEntries([...bundles].map(([domain, authorities]) => [domain, authorities.join("")])),
  };
  writePrivate(file, `${JSON.stringify(text, undefined, 1)}\n`);
}

function read(file: string): Kept | undefined {
  const text = readPrivate(file);
  if (text === undefined) return undefined;
  try {
    const { url, node, key, chain, bundles } = form.parse(JSON.parse(text));
    const authorities = Object.entries(bundles).map(([domain, pem]) => [domain, parsePem(pem, file)] as const);
    return { url, node, svid: svidOf(parsePem(chain, file), parseKey(key, file)), bundles: new Map(authorities) };
  } catch {
    // What is in it is secret, so it is not shown.
    throw new MeshError("invalid", `the identity in ${file} is damaged; restore it, or remove it and invite this node again`);
  }
}
