import type { SegmentsApi } from "../../rpc/segmentApi.js";
import type { SegmentsAdmin } from "./admin.js";
import { BlockAdmin, type BlockAdminParts } from "./blockAdmin.js";

/** isthmus.v1.Segments, as the site's administrator has it. */
export function administeredSegments(made: SegmentsAdmin, parts: BlockAdminParts): SegmentsApi {
  const blocks = new BlockAdmin(parts);
  return {
    apply: (segment, signal) => made.apply(segment, signal),
    list: () => made.list(),
    delete: (request, signal) => made.delete(request, signal),
    listBlocks: (request, signal) => blocks.listBlocks(request, signal),
    releaseBlocks: (request, signal) => blocks.releaseBlocks(request, signal),
  };
}
