import { asMeshError } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import type { BlocksApi } from "../../rpc/blocks.js";
import { isRefused } from "./leases.js";

/**
 * Asks for each of the blocks by name: what is nobody's by now, as in a registry that has forgotten, is this node's again. Resolves to those
 * that are another's, or cannot be had. Throws where nobody can say.
 */
export async function lostBlocks(
  segment: string,
  prefixes: readonly string[],
  { blocks, log }: { readonly blocks: Pick<BlocksApi, "allocate">; readonly log: Log },
  signal: AbortSignal,
): Promise<string[]> {
  const lost: string[] = [];
  for (const prefix of prefixes)
    try {
      await blocks.allocate({ segment, prefix, exclude: [] }, signal);
    } catch (error) {
      if (!isRefused(error)) throw error;
      const { message } = asMeshError(error);
      log.warn("block of addresses is not this node's any more, its members get others", { segment, block: prefix, reason: message });
      lost.push(prefix);
    }
  return lost;
}
