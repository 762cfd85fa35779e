import type { Clock } from "../../core/clock.js";
import type { BlocksApi } from "../../rpc/blocks.js";

/**
 * The address blocks of segments as a node asks for them and gives them back, each in a count that goes on from run to run. So nobody waits
 * for a block that is being given back: where it is this node's again by then, what comes late takes nothing away.
 */
export function countedBlocks(blocks: BlocksApi, clock: Pick<Clock, "now">): BlocksApi {
  let last = 0;
  const next = () => {
    last = Math.max(last + 1, Math.floor(clock.now()));
    return last;
  };
  return {
    allocate: (ask, signal) => blocks.allocate({ ...ask, at: next() }, signal),
    release: (ask, signal) => blocks.release({ ...ask, at: next() }, signal),
  };
}
