import type { Clock } from "../../../core/clock.js";
import type { Log } from "../../../core/log.js";
import { builtIn, type InForce } from "../../../identity/policy/inForce.js";
import { parseInForce } from "../../../identity/policy/parse.js";
import type { StateStore } from "../../../program/state.js";
import type { PeerSet } from "../../../rpc/peers.js";
import { FollowedPolicy } from "../../../rpc/policyFollower.js";
import type { MemoryAudit } from "./audit.js";

/** The policy as a program of a node follows it, kept on that program's disk. */
export function meshPolicy(parts: {
  readonly peers: PeerSet;
  readonly from: string;
  readonly disk: StateStore;
  readonly audit: MemoryAudit;
  readonly clock: Clock;
  readonly log: Log;
}): FollowedPolicy {
  const { peers, from, disk } = parts;
  return new FollowedPolicy({
    ...parts,
    watch: (signal) => peers.policyFeed(from).watch(signal),
    kept: {
      read: () => {
        const kept = disk.get<Omit<InForce, "policy">>("policy");
        return kept && { ...kept, policy: parseInForce(kept.text, "the policy on disk") };
      },
      write: ({ text, version }) => void disk.put("policy", { text, version }),
    },
    fallback: builtIn("test"),
  });
}
