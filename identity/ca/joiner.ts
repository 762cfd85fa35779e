import type { KeyObject, X509Certificate } from "node:crypto";
import type { Clock } from "../../core/clock.js";
import { MeshError } from "../../core/error.js";
import type { Peer } from "../../core/peer.js";
import { fingerprintOf } from "../certificate.js";
import type { Showing } from "../identity.js";
import { Signer } from "../token.js";
import { idOf, verifyChain } from "../verify.js";
import { selfSigned } from "./selfSigned.js";

const lifetimeMs = 10 * 60_000;

/** What a program shows that has no identity yet: that it has this key. `trust` says who the other side is. */
export function joinerWith(
  key: KeyObject,
  parts: { readonly name: string; readonly clock: Clock; readonly trust: Showing["peerOf"] },
): Showing {
  const { name, clock, trust } = parts;
  const now = clock.now();
  const certificate = selfSigned(key, name, now - 60_000, lifetimeMs);
  const id = { text: name, trustDomain: "", path: "" };
  const current = { id, chain: [certificate], privateKey: key, notBefore: now - 60_000, notAfter: now + lifetimeMs };
  const signer = new Signer({ lifetimeMs: 60_000, clock });
  return { source: { current }, clock, tokensBy: (svid) => signer.by(svid), peerOf: trust };
}

/** Trusts whom that authority has signed, and shows so: the fingerprint is all that is known of it. */
export function signedBy(authority: string, now: number): (chain: readonly X509Certificate[]) => Peer {
  return (chain) => {
    const root = chain.find((certificate) => fingerprintOf(certificate) === authority);
    const [leaf] = chain;
    if (leaf === undefined || root === undefined)
      throw new MeshError(
        "denied",
        "the registry there is not the one that made the token: its authority is another; is the address another site's by now?",
      );
    return verifyChain(chain, new Map([[idOf(leaf).trustDomain, [root]]]), now);
  };
}
