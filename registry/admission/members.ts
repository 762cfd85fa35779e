import type { KeyObject } from "node:crypto";
import type { Authorities, IssuedIdentity, JoinRequest, RenewRequest, TrustBundles } from "../../api/gen/isthmus/v1/identity.js";
import type { Clock } from "../../core/clock.js";
import { MeshError } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import type { Peer } from "../../core/peer.js";
import { type Bundles, sameBundles } from "../../identity/bundles.js";
import type { Authority } from "../../identity/ca/authority.js";
import { spkiOf } from "../../identity/keys.js";
import type { IdentitySource } from "../../identity/source.js";
import { parseSpiffeId } from "../../identity/spiffe.js";
import type { IdentityApi } from "../../rpc/identityApi.js";
import { onAbort } from "../../rpc/signals.js";
import type { Condition, Entry, Store, Write } from "../store.js";
import { hashOf, invitationKey, programs, read, useInvitation, write } from "./invitations.js";

/** A program of a node that has an identity of this site. */
interface Member {
  /** Hashes of the keys that it may ask with: the last one that it was given an identity for, and the one before, in case it never got that. */
  readonly keys: readonly string[];
}

export interface MembersParts {
  readonly store: Store;
  readonly authority: Authority;
  /** Whom the site trusts. */
  readonly trust: Pick<IdentitySource, "bundles" | "listen">;
  readonly clock: Clock;
  readonly log: Log;
}

/** Two who come at once meet once or twice. */
const mostAttempts = 16;

/** Takes the programs of nodes in, and renews their identities as long as it is they who ask. */
export class Members implements IdentityApi {
  readonly #parts: MembersParts;

  constructor(parts: MembersParts) {
    this.#parts = parts;
  }

  /** With an invitation, or again with a key that it had here. Throws "denied" with what is wrong. */
  async join(request: JoinRequest, key: KeyObject): Promise<IssuedIdentity> {
    const { node, program } = request;
    if (!(programs as readonly string[]).includes(program))
      throw new MeshError("invalid", `a program that joins is one of ${programs.join(", ")}, got ${JSON.stringify(program)}`);
    const spki = spkiOf(key);
    const hash = hashOf(spki);
    const path = `/node/${node}/${program}`;
    if (request.invitation !== "") await this.#admit(request, path, hash);
    mustKnow(await this.#parts.store.get(keyOf(path)), path, hash);
    this.#parts.log.info("program joined", { node, program, again: request.invitation === "" });
    return await this.#issue(path, spki);
  }

  async renew({ publicKey }: RenewRequest, peer: Peer): Promise<IssuedIdentity> {
    const { trustDomain, path } = parseSpiffeId(peer.id);
    const shown = hashOf(spkiOf(peer.publicKey));
    if (trustDomain !== this.#parts.authority.trustDomain) throw denied(`${peer.id} is of another site; it renews its identity there`);
    const issued = await this.#issue(path, publicKey);
    // Looked at in the same transaction: a node that joins anew meanwhile is not pushed out again.
    await this.#write(keyOf(path), (found) => {
      mustKnow(found, path, shown);
      return [{ op: "put", key: keyOf(path), value: write({ keys: [hashOf(publicKey), shown] }) }];
    });
    return issued;
  }

  async *followTrust({ id }: Peer, signal: AbortSignal): AsyncGenerator<TrustBundles> {
    const { trust, authority } = this.#parts;
    if (parseSpiffeId(id).trustDomain !== authority.trustDomain) throw denied(`${id} is of another site; whom it trusts is decided there`);
    let wake: () => void = () => {};
    let told: Bundles | undefined;
    using _listening = trust.listen(() => wake());
    using _end = onAbort(signal, () => wake());
    while (!signal.aborted) {
      const { bundles } = trust;
      if (told === undefined || !sameBundles(told, bundles)) yield { bundles: written(bundles) };
      told = bundles;
      if (!sameBundles(trust.bundles, bundles) || signal.aborted) continue;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }

  async #admit({ invitation: id, node, program, secret }: JoinRequest, path: string, key: string): Promise<void> {
    const now = this.#parts.clock.now();
    await this.#write(invitationKey(id), (found) => {
      const invitation = useInvitation(found, { id, node, program, secret, key }, now);
      // The answer did not get through. Who has taken this program's place since keeps it.
      if (invitation === undefined) return [];
      return [
        { op: "put", key: invitationKey(id), value: write(invitation), lease: found?.lease },
        { op: "put", key: keyOf(path), value: write({ keys: [key] }) },
      ];
    });
  }

  /** Fenced by what was read: of two who use one invitation at once, one has it. */
  async #write(key: string, decide: (found: Entry | undefined) => Write[]): Promise<void> {
    const { store } = this.#parts;
    for (let attempt = 0; attempt < mostAttempts; attempt++) {
      const found = await store.get(key);
      const condition: Condition = { key, revision: found?.revision ?? 0 };
      const writes = decide(found);
      if (writes.length === 0 || (await store.commit({ conditions: [condition], writes })).ok) return;
    }
    throw new MeshError("conflict", `${key} was changed by others ${mostAttempts} times while it was written; try again`);
  }

  async #issue(path: string, spki: Uint8Array): Promise<IssuedIdentity> {
    const { authority, trust } = this.#parts;
    const { chain } = await authority.issue(parseSpiffeId(`spiffe://${authority.trustDomain}${path}`), spki);
    return { chain: chain.map(({ raw }) => raw), bundles: written(trust.bundles) };
  }
}

function written(bundles: Bundles): Record<string, Authorities> {
  return Object.fromEntries([...bundles].map(([domain, authorities]) => [domain, { certificates: authorities.map(({ raw }) => raw) }]));
}

function mustKnow(found: Entry | undefined, path: string, hash: string): void {
  if (found === undefined) throw denied(`${path} has never joined this site, or was taken out of it; invite its node`);
  if (!read<Member>(found.value).keys.includes(hash))
    throw denied(`${path} has joined anew since, with another key; if that was not you, invite the node again and find out who it was`);
}

const prefix = "admission/members";

function keyOf(path: string): string {
  return prefix + path;
}

/** The paths (`/node/paris-1/nsmgr`) of all programs that have joined. */
export async function memberPaths(store: Store): Promise<string[]> {
  const { entries } = await store.list(`${prefix}/`);
  return entries.map(({ key }) => key.slice(prefix.length));
}

function denied(message: string): MeshError {
  return new MeshError("denied", message);
}
