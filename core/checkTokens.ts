import { MeshError } from "./error.js";
import { isSignedBy, type Jwt, readToken } from "./jwt.js";
import type { Peer } from "./peer.js";

/**
 * Before a pod's name in its SPIFFE id. No other id has it: NSM's own deployments, for one, call every program `/ns/NAMESPACE/pod/NAME`.
 */
export const podSegment = "isthmus-pod";
const podForm = new RegExp(`^(.+)/${podSegment}/[^/]+$`);

/** A token of the path with the name of the hop that it is of. */
export interface HopToken {
  readonly name: string;
  readonly token: string;
}

/** Finds out who signed a token, by the certificates that it brings along. */
export interface Prover {
  /** The SPIFFE id of its signer; undefined when it brings no certificate. Throws "denied" when what it brings is not good. */
  signerOf(token: Jwt): string | undefined;
}

/**
 * The rules of the contract (2.2, authorize) for the tokens before this hop, the peer's last: each can be read and has not ended, each
 * was made for the next, the last for `self`; and the last is the peer's, signed with the key of its certificate. A token that brings
 * its certificate must be signed by the one whose name it speaks in, or by the nsmgr that vouches for that pod. Throws "denied".
 */
export function checkTokens(
  hops: readonly HopToken[],
  link: { readonly peer: Peer; readonly self: string },
  now: number,
  prover?: Prover,
): readonly Jwt[] {
  const read = hops.map(({ name, token }) => readToken(token, JSON.stringify(name), now));
  read.forEach((token, at) => {
    const name = JSON.stringify(hops[at]?.name);
    checkAudience(token, name, read[at + 1]?.subject ?? link.self);
    if (at === read.length - 1) checkPeer(token, name, link.peer);
    else checkSigner(token, name, prover);
  });
  return read;
}

/** What the next hop must show in its answer: a token of its own, signed with the key of its certificate. Throws "denied". */
export function checkNextToken({ name, token }: HopToken, peer: Peer, now: number): void {
  checkPeer(readToken(token, JSON.stringify(name), now), JSON.stringify(name), peer);
}

/** Whether somebody whose certificate is known has signed in this name. */
export function isProven(token: Jwt, prover: Prover | undefined): boolean {
  return prover?.signerOf(token) !== undefined;
}

function checkAudience({ subject, audience }: Jwt, name: string, next: string): void {
  if (audience.includes(next)) return;
  throw denied(`the token of ${name} (${subject}) was made for ${audience.join(", ") || "nobody"}, and came to ${next}`);
}

function checkPeer(token: Jwt, name: string, peer: Peer): void {
  if (token.subject !== peer.id)
    throw denied(`the token of ${name} speaks for ${token.subject}, but its connection's certificate is of ${peer.id}`);
  if (!isSignedBy(token, peer.publicKey)) throw denied(`the token of ${name} is not signed with the key of the certificate of ${peer.id}`);
}

function checkSigner(token: Jwt, name: string, prover: Prover | undefined): void {
  const signer = prover?.signerOf(token);
  const pod = podForm.exec(token.subject)?.[1];
  if (signer === undefined) {
    // A pod has no certificate of its own; others are known to the hop after them, as with NSM.
    if (pod === undefined || prover === undefined) return;
    throw denied(`the token of ${name} speaks for the pod ${token.subject} and does not show who vouches for it`);
  }
  if (signer === token.subject || signer === pod) return;
  throw denied(`the token of ${name} speaks for ${token.subject}, but ${signer} has signed it, who may not speak for it`);
}

function denied(message: string): MeshError {
  return new MeshError("denied", message);
}
