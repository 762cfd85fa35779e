import type { X509Certificate } from "node:crypto";
import { LABELS } from "../core/asking.js";
import type { Clock } from "../core/clock.js";
import type { Peer } from "../core/peer.js";
import type { TokenSource } from "../core/token.js";
import { sameAuthorities } from "./bundles.js";
import { validity } from "./certificate.js";
import { BundleProver } from "./prover.js";
import type { IdentitySource } from "./source.js";
import { podId } from "./spiffe.js";
import type { Svid } from "./svid.js";
import { Signer } from "./token.js";
import { idOf, isGood, verifyChain } from "./verify.js";

export interface IdentityParts {
  readonly source: IdentitySource;
  readonly clock: Clock;
  /** How long a token is good for, at the most. */
  readonly tokenLifetimeMs: number;
  /** What each token says besides. */
  readonly claims?: Readonly<Record<string, unknown>> | undefined;
}

/** What a connection needs of an identity. */
export interface Showing {
  readonly source: Pick<IdentitySource, "current">;
  readonly clock: Clock;
  /** Signs with that SVID. */
  tokensBy(svid: Svid): TokenSource;
  /** Who shows this chain. Throws "denied" with what is wrong with it. */
  peerOf(chain: readonly X509Certificate[]): Peer;
  /** Runs `task` when a chain that was good is so no longer because whom to trust has changed; until disposed. */
  onDistrust?(chain: readonly X509Certificate[], task: () => void): Disposable;
}

/** A program's identity in use: what it shows, whom it trusts, and what it signs. The source stays the caller's to dispose. */
export class Identity implements Showing, Disposable {
  readonly source: IdentitySource;
  readonly prover: BundleProver;
  readonly clock: Clock;
  readonly #signer: Signer;

  constructor(parts: IdentityParts) {
    this.source = parts.source;
    this.prover = new BundleProver(parts.source, parts.clock);
    this.clock = parts.clock;
    this.#signer = new Signer({ clock: parts.clock, lifetimeMs: parts.tokenLifetimeMs, claims: parts.claims });
  }

  /** The own SPIFFE id. */
  get id(): string {
    return this.source.current.id.text;
  }

  /** Signs with what is current at the time. */
  readonly tokens: TokenSource = (audience) => this.tokensBy(this.source.current)(audience);

  tokensBy(svid: Svid): TokenSource {
    return this.#signer.by(svid);
  }

  /** In the name of a pod of this node, with its labels, for this program itself: what a pod asks for comes in here. */
  readonly podTokens = (pod: string, labels: Readonly<Record<string, string>>): ReturnType<TokenSource> => {
    const svid = this.source.current;
    return this.#signer.by(svid, podId(svid.id.text, pod), { [LABELS]: labels })(svid.id.text);
  };

  peerOf(chain: readonly X509Certificate[]): Peer {
    return verifyChain(chain, this.source.bundles, this.clock.now());
  }

  onDistrust(chain: readonly X509Certificate[], task: () => void): Disposable {
    const [leaf] = chain as readonly [X509Certificate];
    const { trustDomain } = idOf(leaf);
    // That a certificate ends is another matter.
    const good = () => Math.min(this.clock.now(), validity(leaf).notAfter);
    let before = this.source.bundles.get(trustDomain);
    return this.source.listen(() => {
      const now = this.source.bundles.get(trustDomain);
      // An own SVID that is renewed comes this way too, and is no reason to check every connection.
      if (sameAuthorities(before, now)) return;
      before = now;
      if (!isGood(chain, this.source.bundles, good())) task();
    });
  }

  [Symbol.dispose](): void {
    this.prover[Symbol.dispose]();
  }
}
