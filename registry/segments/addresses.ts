import type { BlocksApi } from "../../rpc/blocks.js";
import type { StickyApi } from "../../rpc/sticky.js";
import { SegmentBlocks } from "./blocks.js";
import { type StickyParts, stickyAddresses } from "./sticky.js";
import type { StickyNamesParts } from "./stickyGiving.js";
import { StickyNames } from "./stickyNames.js";

/** What gives the addresses of segments: to nodes, and to names. */
export function segmentAddresses(parts: StickyNamesParts & Omit<StickyParts, "names">): {
  readonly blocks: BlocksApi;
  readonly sticky: StickyApi;
} {
  return { blocks: new SegmentBlocks(parts), sticky: stickyAddresses({ ...parts, names: new StickyNames(parts) }) };
}
