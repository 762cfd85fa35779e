import assert from "node:assert/strict";
import { NetworkService } from "../../../api/gen/registry/registry.js";
import { MeshError } from "../../../core/error.js";
import type { Found, Registry } from "../../../rpc/registry.js";
import { replicas } from "../../../rpc/replicas.js";
import { FakeClock } from "../../lib/fakeClock.js";

const service = NetworkService.fromPartial({ name: "db" });
const context = () => ({ signal: new AbortController().signal });

/** A replica that answers, refuses, is away, or never says anything. */
class Replica implements Registry<NetworkService> {
  state: "up" | "away" | "denies" | "frozen" = "up";
  asked = 0;

  async register(value: NetworkService, { signal }: { signal: AbortSignal }): Promise<NetworkService> {
    this.asked++;
    if (this.state === "away") throw new MeshError("unreachable", "nobody listens");
    if (this.state === "denies") throw new MeshError("denied", "not yours");
    if (this.state === "frozen") await ended(signal);
    return value;
  }

  async unregister(value: NetworkService, given: { signal: AbortSignal }): Promise<void> {
    await this.register(value, given);
  }

  async *find(query: NetworkService, _: { watch: boolean }, given: { signal: AbortSignal }): AsyncGenerator<Found<NetworkService>> {
    yield { value: await this.register(query, given), deleted: false };
  }
}

function ended(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
  });
}

async function read(registry: Registry<NetworkService>, watch: boolean): Promise<string[]> {
  const names: string[] = [];
  for await (const { value } of registry.find(service, { watch }, context())) names.push(value.name);
  return names;
}

describe("replicas of a registry", () => {
  let one: Replica;
  let two: Replica;
  let clock: FakeClock;
  let both: Registry<NetworkService>;
  beforeEach(() => {
    one = new Replica();
    two = new Replica();
    clock = new FakeClock();
    both = replicas<NetworkService>([one, two], clock);
  });

  it("are asked one at a time, and the next when it is away; whoever answered stays", async () => {
    one.state = "away";
    for (let turn = 0; turn < 3; turn++) await both.register(service, context());
    assert.deepEqual([one.asked, two.asked], [1, 3]);
    assert.deepEqual(await read(both, false), ["db"]);
    assert.deepEqual(await read(both, true), ["db"]);
    assert.equal(one.asked, 1);
  });

  it("come back into use when the other goes", async () => {
    one.state = "away";
    await both.register(service, context());
    [one.state, two.state] = ["up", "away"];
    await both.unregister(service, context());
    assert.deepEqual(await read(both, true), ["db"]);
    assert.deepEqual([one.asked, two.asked], [3, 2]);
  });

  it("are not asked a second time for what the first one refuses", async () => {
    one.state = "denies";
    await assert.rejects(both.register(service, context()), { code: "denied" });
    await assert.rejects(read(both, false), { code: "denied" });
    assert.equal(two.asked, 0);
  });

  it("are left when they are frozen, long before the caller gives up", async () => {
    one.state = "frozen";
    const answer = both.register(service, context());
    await clock.advance(3_000);
    assert.equal((await answer).name, "db");
    [one.state, two.state] = ["up", "frozen"];
    const found = read(both, false);
    await clock.advance(3_000);
    assert.deepEqual(await found, ["db"]);
  });

  it("say that they are away when all are", async () => {
    [one.state, two.state] = ["away", "away"];
    await assert.rejects(both.register(service, context()), { code: "unreachable" });
    await assert.rejects(read(both, true), { code: "unreachable" });
  });
});
