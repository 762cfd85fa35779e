import type { KeyObject } from "node:crypto";
import { join } from "node:path";
import type { IssuedIdentity } from "../../../api/gen/isthmus/v1/identity.js";
import { silent } from "../../../core/log.js";
import type { Bundles } from "../../../identity/bundles.js";
import { Authority } from "../../../identity/ca/authority.js";
import { type JoinToken, parseJoinToken } from "../../../identity/ca/joinToken.js";
import { parseDer } from "../../../identity/certificate.js";
import { generateKey } from "../../../identity/keys.js";
import { Members } from "../../../registry/admission/members.js";
import { nodesApi } from "../../../registry/admission/site.js";
import { openMemoryStore } from "../../../registry/memory.js";
import type { Store } from "../../../registry/store.js";
import { FakeClock } from "../../lib/fakeClock.js";
import { newFolder } from "../../lib/folder.js";

export const forever = new AbortController().signal;
export const hour = 3_600_000;
export const url = "tcp://10.0.0.1:5002";

/** A registry's authority and what it keeps of who has joined. */
export class Site implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly folder = newFolder();
  readonly store: Store = openMemoryStore({ clock: this.clock, log: silent });
  authority!: Authority;
  members!: Members;
  readonly #listeners = new Set<() => void>();
  #foreign: Bundles = new Map();

  /** Whom the site trusts besides itself, from now on. */
  trustAlso(foreign: Bundles): void {
    this.#foreign = foreign;
    for (const listener of this.#listeners) listener();
  }

  get trust() {
    const site = this;
    return {
      get bundles(): Bundles {
        return new Map([...site.#foreign, [site.authority.trustDomain, site.authority.authorities]]);
      },
      listen(listener: () => void): Disposable {
        site.#listeners.add(listener);
        return { [Symbol.dispose]: () => void site.#listeners.delete(listener) };
      },
    };
  }

  static async open(): Promise<Site> {
    const site = new Site();
    const files = { keyFile: join(site.folder.path, "ca.key"), certificateFile: join(site.folder.path, "ca.pem") };
    site.authority = await Authority.open({ ...files, trustDomain: "paris", lifetimeMs: hour, clock: site.clock });
    site.members = new Members({ ...site.parts });
    return site;
  }

  get parts() {
    return { store: this.store, authority: this.authority, trust: this.trust, clock: this.clock, log: silent };
  }

  async invite(node = "paris-1", lifetimeMs = 60_000): Promise<{ readonly text: string; readonly token: JoinToken }> {
    const { token: text } = await nodesApi({ ...this.parts, url }).inviteNode({ node, lifetimeMs }, forever);
    return { text, token: parseJoinToken(text) };
  }

  join(
    token: JoinToken | undefined,
    key: KeyObject = generateKey().publicKey,
    more: { program?: string; node?: string } = {},
  ): Promise<IssuedIdentity> {
    const { program = "nsmgr", node = token?.node ?? "paris-1" } = more;
    return this.members.join({ program, node, invitation: token?.invitation ?? "", secret: Buffer.from(token?.secret ?? []) }, key);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store[Symbol.asyncDispose]();
    this.folder[Symbol.dispose]();
  }
}

export function idIn({ chain }: IssuedIdentity): string {
  return parseDer(chain, "x")[0]?.subjectAltName ?? "";
}
