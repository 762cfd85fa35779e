import assert from "node:assert/strict";
import { orderedBlocks } from "../../../../forwarder/segments/orderedBlocks.js";

const { signal } = new AbortController();
const block = { segment: "plant", prefix: "10.60.1.0/24" };
const any = { ...block, prefix: "0.0.0.0/0", exclude: [] };

/** A registry that answers when it is told to. */
class Slow {
  readonly asked: string[] = [];
  readonly #waiting: (() => void)[] = [];
  readonly blocks = orderedBlocks({
    allocate: async ({ segment, prefix }) => {
      await this.#answer(`give ${segment} ${prefix}`);
      return "10.60.1.0/24";
    },
    release: ({ segment, prefix }) => this.#answer(`take back ${segment} ${prefix}`),
  });

  async settle(): Promise<void> {
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  }

  async go(): Promise<void> {
    this.#waiting.shift()?.();
    await this.settle();
  }

  #answer(what: string): Promise<void> {
    this.asked.push(what);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

describe("the address blocks of a node", () => {
  it("are not asked for while one is given back, which could be given again and then taken away", async () => {
    const slow = new Slow();
    const back = slow.blocks.release(block, signal);
    const given = slow.blocks.allocate(any, signal);
    const other = slow.blocks.allocate({ ...any, segment: "floor" }, signal);
    await slow.settle();
    assert.deepEqual(slow.asked, ["take back plant 10.60.1.0/24", "give floor 0.0.0.0/0"]);
    await slow.go();
    await back;
    assert.equal(slow.asked.at(-1), "give plant 0.0.0.0/0");
    await slow.go();
    await slow.go();
    assert.deepEqual(await Promise.all([given, other]), ["10.60.1.0/24", "10.60.1.0/24"]);
  });

  it("are waited for no longer than whoever asks has time", async () => {
    const slow = new Slow();
    const back = slow.blocks.release(block, signal);
    const hurry = new AbortController();
    const given = slow.blocks.allocate(any, hurry.signal);
    hurry.abort(new Error("too late"));
    await assert.rejects(given, /too late/);
    await slow.go();
    await back;
    assert.deepEqual(slow.asked, ["take back plant 10.60.1.0/24"]);
  });
});
