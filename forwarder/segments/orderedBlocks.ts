import type { BlocksApi } from "../../rpc/blocks.js";
import { abortable } from "../../rpc/signals.js";

/**
 * The address blocks of segments as a node asks for them and gives them back: none is asked for while one of the same segment is being given
 * back, which would be this node's still, and given again, and then another's too.
 */
export function orderedBlocks(blocks: BlocksApi): BlocksApi {
  const leaving = new Map<string, Promise<unknown>>();
  return {
    async allocate(ask, signal) {
      await abortable(leaving.get(ask.segment) ?? Promise.resolve(), signal);
      return await blocks.allocate(ask, signal);
    },
    release(ask, signal) {
      const released = blocks.release(ask, signal);
      const all = Promise.allSettled([leaving.get(ask.segment), released]).then(() => {
        if (leaving.get(ask.segment) === all) leaving.delete(ask.segment);
      });
      leaving.set(ask.segment, all);
      return released;
    },
  };
}
