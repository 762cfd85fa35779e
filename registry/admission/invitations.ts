import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Clock } from "../../core/clock.js";
import { MeshError } from "../../core/error.js";
import { offBy } from "../../core/skew.js";
import type { Entry } from "../store.js";

/** Kept for a day after its end, so that it can be said that it has ended. */
const rememberedMs = 86_400_000;
export const programs = ["nsmgr", "forwarder"] as const;

/** What a registry keeps of a one-time token: no secret. */
export interface Invitation {
  readonly node: string;
  /** SHA-256 of the secret, hexadecimal. */
  readonly secret: string;
  /** Milliseconds since 1970. */
  readonly expires: number;
  /** By program: when, and the key that it got its identity for. */
  readonly used: Readonly<Record<string, { readonly at: number; readonly key: string }>>;
}

export function invitationKey(id: string): string {
  return `admission/invitations/${id}`;
}

/** A new one, with the secret that only its bearer has, and for how long it is worth remembering. */
export function newInvitation(node: string, lifetimeMs: number, clock: Clock) {
  const secret = randomBytes(32);
  const invitation: Invitation = { node, secret: hashOf(secret), expires: clock.now() + lifetimeMs, used: {} };
  return { id: randomBytes(12).toString("hex"), secret, invitation, rememberMs: lifetimeMs + rememberedMs };
}

/**
 * Throws "denied" unless this program of this node may use it now, with that secret, for that key. Returns it as used; undefined where it
 * was used for that key before: it gives nothing a second time.
 */
export function useInvitation(
  found: Entry | undefined,
  asked: { readonly id: string; readonly node: string; readonly program: string; readonly secret: Uint8Array; readonly key: string },
  now: number,
): Invitation | undefined {
  if (found === undefined)
    throw denied(`this registry knows no invitation ${asked.id}: another site's registry made it, or this one too long ago; make another`);
  const invitation = read(found.value);
  if (!timingSafeEqual(Buffer.from(invitation.secret), Buffer.from(hashOf(asked.secret))))
    throw denied("the join token is not as this registry made it: it was altered");
  if (invitation.node !== asked.node) throw denied(`the join token was made for the node ${invitation.node}, not for ${asked.node}`);
  const before = invitation.used[asked.program];
  if (before?.key === asked.key) return undefined;
  if (before !== undefined)
    throw denied(
      `the join token was used for the ${asked.program} of ${invitation.node} at ${new Date(before.at).toISOString()}; each program may use it once: make another with \`nsmctl node invite ${invitation.node}\``,
    );
  if (invitation.expires <= now)
    throw denied(`the join token ended at ${new Date(invitation.expires).toISOString()}, ${offBy(now - invitation.expires)}; make another`);
  return { ...invitation, used: { ...invitation.used, [asked.program]: { at: now, key: asked.key } } };
}

export function write(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

/** Nobody but this registry writes these. */
export function read<T = Invitation>(value: Uint8Array): T {
  return JSON.parse(Buffer.from(value).toString("utf8")) as T;
}

export function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function denied(message: string): MeshError {
  return new MeshError("denied", message);
}
