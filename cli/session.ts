import type { Clock } from "../core/clock.js";
import { MeshError } from "../core/error.js";
import { silent } from "../core/log.js";
import type { SiteApi } from "../rpc/identityApi.js";
import type { NodeClient } from "../rpc/node.js";
import type { PeerSet } from "../rpc/peers.js";
import type { PolicyApi } from "../rpc/policyApi.js";
import type { SegmentsApi } from "../rpc/segmentApi.js";

// A socket that nobody serves refuses at once; this is for a machine that is busy.
const dialTimeoutMs = 5_000;

/** What nsmctl asks programs for. */
export type Session = Pick<PeerSet, "node" | "site" | "policy" | "segments" | "health">;

/** Runs `use` with connections to sockets of isthmus.v1 and closes them. What they need is loaded only now: completion must be quick. */
export async function withPeers<T>(clock: Clock, use: (peers: Session) => Promise<T>): Promise<T> {
  const { Peers } = await import("../rpc/client.js");
  await using peers = new Peers({ log: silent, clock, dialTimeoutMs });
  return await use(peers);
}

/** What a registry does for its administrator. */
export type RegistryClient = SiteApi & { readonly policy: PolicyApi; readonly segments: SegmentsApi };

/** Runs `use` with the registry behind an isthmus.v1 socket. */
export async function withSite<T>(clock: Clock, url: string, use: (registry: RegistryClient) => Promise<T>): Promise<T> {
  try {
    return await withPeers(clock, (peers) => use({ ...peers.site(url), policy: peers.policy(url), segments: peers.segments(url) }));
  } catch (error) {
    if (!(error instanceof MeshError) || error.code !== "unreachable" || error.hop !== undefined) throw error;
    throw new MeshError(
      "unreachable",
      `no registry answers at ${url}; does it run on this machine? name its admin socket with --registry`,
      {
        cause: error,
      },
    );
  }
}

/** Runs `use` with the node behind an isthmus.v1 socket. */
export async function withNode<T>(clock: Clock, url: string, use: (node: NodeClient) => Promise<T>): Promise<T> {
  try {
    return await withPeers(clock, (peers) => use(peers.node(url)));
  } catch (error) {
    if (!(error instanceof MeshError) || error.code !== "unreachable" || error.hop !== undefined) throw error;
    throw new MeshError("unreachable", `no nsmgr answers at ${url}; is it running? (\`nsmctl lab status\` shows a lab's)`, {
      cause: error,
    });
  }
}
