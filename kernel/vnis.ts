import { MeshError } from "../core/error.js";
import type { VxlanFilter } from "./parts.js";

/** The part of a filter that has these VNIs, as a filter: whoever makes it have only what he wants leaves the rest alone. */
export function vnisOnly(filter: VxlanFilter, keep: (vni: number) => boolean): VxlanFilter {
  return {
    list: () => filter.list().filter(({ vni }) => keep(vni)),
    has: (source) => keep(source.vni) && filter.has(source),
    mend: () => filter.mend(),
    add: (source) => {
      if (!keep(source.vni)) throw new MeshError("internal", `VNI ${source.vni} is not of this part of the filter`);
      filter.add(source);
    },
    remove: (source) => {
      if (keep(source.vni)) filter.remove(source);
    },
  };
}
