import assert from "node:assert/strict";
import type { VxlanSource } from "../../../kernel/model.js";
import type { VxlanFilter } from "../../../kernel/parts.js";
import { vnisOnly } from "../../../kernel/vnis.js";

describe("a part of a filter", () => {
  const source = (vni: number): VxlanSource => ({ kind: "vxlan-source", source: "fd00:1::1", vni });

  it("shows and changes only its own VNIs", () => {
    const filter = filterOf([source(7), source(8388608)]);
    const upper = vnisOnly(filter, (vni) => vni >= 2 ** 23);
    assert.deepEqual(upper.list(), [source(8388608)]);
    assert.deepEqual([upper.has(source(8388608)), upper.has(source(7))], [true, false]);
    upper.remove(source(7));
    upper.remove(source(8388608));
    upper.add(source(8388609));
    assert.deepEqual(filter.list(), [source(7), source(8388609)]);
    assert.throws(() => upper.add(source(8)), /VNI 8 is not of this part/);
  });

  it("mends the whole", () => {
    const filter = filterOf([]);
    vnisOnly(filter, () => false).mend();
    assert.equal(filter.mended, 1);
  });
});

function filterOf(sources: readonly VxlanSource[]): VxlanFilter & { mended: number } {
  const held = new Map(sources.map((source) => [source.vni, source]));
  return {
    mended: 0,
    list: () => [...held.values()],
    has: ({ vni }) => held.has(vni),
    mend() {
      this.mended++;
    },
    add: (source) => void held.set(source.vni, source),
    remove: ({ vni }) => void held.delete(vni),
  };
}
