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

const firstPauseMs = 200;
const longestPauseMs = 2_000;
/** One that does not know the method will not learn it soon. */
const foreignPauseMs = 60_000;

/** The site's policy as a program of a node has it: what its registry told last, kept on disk for when that is away. */
export class FollowedPolicy implements PolicySource, AsyncDisposable {
  readonly #parts: FollowedPolicyParts;
  readonly #held: HeldPolicy;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(parts: FollowedPolicyParts) {
    this.#parts = parts;
    this.#held = new HeldPolicy(parts.kept.read() ?? parts.fallback);
    this.#running = this.#follow();
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

  async #follow(): Promise<void> {
    const { watch, clock, log, from } = this.#parts;
    const { signal } = this.#stop;
    let pause = firstPauseMs;
    while (!signal.aborted) {
      try {
        for await (const told of watch(signal)) {
          pause = firstPauseMs;
          this.#take(told);
        }
      } catch (error) {
        const { code, message } = asMeshError(error);
        const foreign = code === "unsupported";
        if (foreign) log.info("no policy to follow, the last one holds", { from, reason: message });
        else log.debug("policy not heard", { from, reason: message });
        pause = foreign ? foreignPauseMs : pause;
      }
      await clock.sleep(pause, signal).catch(() => {});
      pause = Math.min(2 * pause, longestPauseMs);
    }
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
  let asked = 0;
  return new FollowedPolicy({
    ...parts,
    from: from.join(", "),
    watch: (signal) => peers.policyFeed(from[asked++ % from.length] ?? "").watch(signal),
    kept: keptPolicy(join(stateDir, "policy.yaml")),
    fallback: builtIn(identity.source.current.id.trustDomain),
  });
}
