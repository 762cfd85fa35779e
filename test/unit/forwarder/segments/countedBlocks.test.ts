import assert from "node:assert/strict";
import { countedBlocks } from "../../../../forwarder/segments/countedBlocks.js";

const { signal } = new AbortController();
const block = { segment: "plant", prefix: "10.60.1.0/24" };

describe("the address blocks of a node", () => {
  it("are asked for and given back in a count that goes on, also in the next run and while the clock stands still", async () => {
    const counts: (number | undefined)[] = [];
    const registry = {
      allocate: async ({ at }: { readonly at?: number | undefined }) => `${counts.push(at)}`,
      release: async ({ at }: { readonly at?: number | undefined }) => void counts.push(at),
    };
    const clock = { now: () => 1_000.5 };
    const first = countedBlocks(registry, clock);
    await first.allocate({ ...block, exclude: [] }, signal);
    await first.release(block, signal);
    await first.allocate({ ...block, exclude: [] }, signal);
    await countedBlocks(registry, { now: () => 2_000 }).release(block, signal);
    assert.deepEqual(counts, [1_000, 1_001, 1_002, 2_000]);
  });
});
