import { join } from "node:path";
import type { PolicyInForce } from "../api/gen/isthmus/v1/policy.js";
import type { Audit } from "../core/audit.js";
import type { Clock } from "../core/clock.js";
import { asMeshError } from "../core/error.js";
import type { Log } from "../core/log.js";
import type { Identity } from "../identity/identity.js";
import { builtIn, HeldPolicy, type InForce, type PolicySource } from "../identity/policy/inForce.js";
import { keptPolicy } from "../identity/policy/kept.js";
import { formatPolicy, parseInForce } from "../identity/policy/parse.js";
import { following, inTurn } from "./following.js";
import type { PeerSet } from "./peers.js";

/** Where a program keeps the policy that it heard last. */
export interface KeptPolicy {
  /** Throws "invalid" for what is damaged. */
  read(): InForce | undefined;
  write(policy: InForce): void;
}

export interface FollowedPolicyParts {
  readonly watch: (signal: AbortSignal) => AsyncIterable<PolicyInForce>;
  /** For messages: who tells it. */
  readonly from: string;
  readonly kept: KeptPolicy;
  /** Until anybody has told one. */
  readonly fallback: InForce;
  readonly audit: Audit;
  readonly clock: Clock;
  readonly log: Log;
}

/** The site's policy as a program of a node has it: what its registry told last, kept on disk for when that is away. */
export class FollowedPolicy implements PolicySource, AsyncDisposable {
  readonly #parts: FollowedPolicyParts;
  readonly #held: HeldPolicy;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(parts: FollowedPolicyParts) {
    this.#parts = parts;
    this.#held = new HeldPolicy(parts.kept.read() ?? parts.fallback);
    this.#running = following({ ...parts, what: "policy", take: (told) => this.#take(told) }, this.#stop.signal);
  }

  get current(): InForce {
    return this.#held.current;
  }

  listen(listener: () => void): Disposable {
    return this.#held.listen(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** What cannot be read (a newer registry may say more) changes nothing. */
  #take({ text, version }: PolicyInForce): void {
    const { log, audit, from } = this.#parts;
    try {
      const next = { policy: parseInForce(text, `the policy of ${from}`), text, version };
      const { current } = this.#held;
      if (version === current.version && formatPolicy(next.policy) === formatPolicy(current.policy)) return;
      this.#held.set(next);
      log.info("policy changed", { version });
      audit.changed({
        who: from,
        what: "policy",
        on: `version ${version}`,
        sentence: `version ${version} of the site's policy holds here now`,
      });
      this.#keep(next);
    } catch (error) {
      log.error("policy not taken, the one before holds", { from, version, reason: asMeshError(error).message });
    }
  }

  /** It holds also when it cannot be kept: after a restart it is heard again. */
  #keep(policy: InForce): void {
    try {
      this.#parts.kept.write(policy);
    } catch (error) {
      this.#parts.log.warn("policy not kept", { version: policy.version, reason: asMeshError(error).message });
    }
  }
}

/**
 * The policy that a peer at `from` tells, kept in `stateDir`; until one tells it, that of a fresh site. Where one is away the next is
 * asked.
 */
export function followPolicy(
  peers: Pick<PeerSet, "policyFeed">,
  parts: Pick<FollowedPolicyParts, "audit" | "clock" | "log"> & {
    readonly from: readonly string[];
    readonly identity: Identity;
    readonly stateDir: string;
  },
): FollowedPolicy {
  const { from, identity, stateDir } = parts;
  return new FollowedPolicy({
    ...parts,
    from: from.join(", "),
    watch: inTurn(from, (url, signal) => peers.policyFeed(url).watch(signal)),
    kept: keptPolicy(join(stateDir, "policy.yaml")),
    fallback: builtIn(identity.source.current.id.trustDomain),
  });
}
