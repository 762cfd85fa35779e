import type { Clock } from "../../core/clock.js";
import type { Log } from "../../core/log.js";
import type { Netns, SegmentLayer } from "../../kernel/model.js";
import type { VxlanFilter } from "../../kernel/parts.js";
import { openKernel } from "../../kernel/real.js";
import { listSegmentNetns, openSegmentNetns, removeSegmentNetns, segmentPrefix } from "../../kernel/segment.js";
import { vnisOnly } from "../../kernel/vnis.js";
import { firstOfSegments } from "../claims.js";
import type { Spaces } from "./space.js";

export interface RealSpacesParts {
  /** The node's mesh namespace, where segments' packets come out of the node tunnel. */
  readonly mesh: Netns;
  /** Its name, from which those of segments' namespaces follow. */
  readonly meshName: string;
  /** All of the mesh namespace's. */
  readonly filter: VxlanFilter;
  readonly clock: Clock;
  readonly log: Log;
}

/** This machine's own. */
export function realSpaces({ mesh, meshName, filter, clock, log }: RealSpacesParts): Spaces {
  const prefix = segmentPrefix(meshName);
  return {
    async open({ name, layer, vni }) {
      const segment = layer as SegmentLayer;
      const own = vnisOnly(filter, (other) => other === vni);
      const netns = openSegmentNetns(prefix + name, segment);
      return { netns, kernel: await openKernel({ mesh: prefix + name, segment, node: mesh.path, filter: own, clock, log }) };
    },
    remove: (name) => removeSegmentNetns(prefix + name),
    list: () => listSegmentNetns(prefix).map((name) => name.slice(prefix.length)),
    close(vnis) {
      for (const source of filter.list()) if (source.vni >= firstOfSegments && !vnis.has(source.vni)) filter.remove(source);
    },
  };
}
