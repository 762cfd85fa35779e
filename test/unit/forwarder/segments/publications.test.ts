import assert from "node:assert/strict";
import type { NetworkServiceEndpoint } from "../../../../api/gen/registry/registry.js";
import { MeshError } from "../../../../core/error.js";
import { silent } from "../../../../core/log.js";
import { toTimestamp } from "../../../../core/timestamp.js";
import { Publications } from "../../../../forwarder/segments/publications.js";
import type { EndpointRegistry } from "../../../../rpc/registry.js";
import { FakeClock } from "../../../lib/fakeClock.js";

const clockStart = 1_700_000_000_000;

/** A registry that notes what it is told, and lets everything expire after a minute. */
class Notes implements EndpointRegistry {
  readonly said: string[] = [];
  readonly clock = new FakeClock(clockStart);
  away = false;
  /** Until then nothing that is said is answered. */
  arrived = Promise.resolve();
  readonly publications = new Publications({ endpoints: this, url: "unix:///f.sock", clock: this.clock, log: silent });

  async register(endpoint: NetworkServiceEndpoint): Promise<NetworkServiceEndpoint> {
    if (this.away) throw new MeshError("unreachable", "the registry is away");
    this.said.push(`${endpoint.name} ${JSON.stringify(endpoint.networkServiceLabels.plant?.labels)}`);
    await this.arrived;
    return { ...endpoint, expirationTime: toTimestamp(this.clock.now() + 60_000) };
  }

  async unregister({ name }: NetworkServiceEndpoint): Promise<void> {
    if (this.away) throw new MeshError("unreachable", "the registry is away");
    this.said.push(`${name} ends`);
  }

  async *find(): AsyncGenerator<never> {}
}

describe("what a node says of its part in segments", () => {
  it("is said again at two thirds of its time, as it was said last", async () => {
    const notes = new Notes();
    using publications = notes.publications;
    await publications.say("plant.a", "plant", { n: "1" });
    await publications.say("plant.a", "plant", { n: "2" });
    await notes.clock.advance(39_000);
    assert.deepEqual(notes.said.splice(0), ['plant.a {"n":"1"}', 'plant.a {"n":"2"}']);
    await notes.clock.advance(2_000);
    assert.deepEqual(notes.said, ['plant.a {"n":"2"}']);
  });

  it("is said again in its own time, though something else was on its way when it was said", async () => {
    const notes = new Notes();
    using publications = notes.publications;
    let arrive = () => {};
    notes.arrived = new Promise((resolve) => (arrive = resolve));
    const first = publications.say("plant.a", "plant", { n: "1" });
    await notes.clock.advance(1);
    const second = publications.say("plant.a", "plant", { n: "2" });
    notes.arrived = notes.clock.sleep(5_000, new AbortController().signal);
    arrive();
    await first;
    await notes.clock.advance(5_000);
    await second;
    assert.deepEqual(notes.said.splice(0), ['plant.a {"n":"1"}', 'plant.a {"n":"2"}']);
    assert.equal(notes.clock.pending, 1);
    await notes.clock.advance(39_000);
    assert.deepEqual(notes.said, []);
    await notes.clock.advance(2_000);
    assert.deepEqual(notes.said, ['plant.a {"n":"2"}']);
  });

  it("fails to whoever says it while the registry is away, and is said as soon as that is back", async () => {
    const notes = new Notes();
    using publications = notes.publications;
    notes.away = true;
    await assert.rejects(publications.say("plant.a", "plant", {}), { code: "unreachable" });
    await notes.clock.advance(5_000);
    notes.away = false;
    await notes.clock.advance(2_000);
    assert.deepEqual(notes.said, ["plant.a {}"]);
  });

  it("ends with a last word, and is not said any more", async () => {
    const notes = new Notes();
    using publications = notes.publications;
    await publications.say("plant.a", "plant", {});
    await publications.end("plant.a", { farewell: "true" });
    await notes.clock.advance(120_000);
    assert.deepEqual(notes.said, ["plant.a {}", 'plant.a {"farewell":"true"}', "plant.a ends"]);
    assert.equal(notes.clock.pending, 0);
  });

  it("is said again where the registry has something else, unless it is being said just now", async () => {
    const notes = new Notes();
    using publications = notes.publications;
    await publications.say("plant.a", "plant", { n: "1" });
    publications.heard("plant.a", { n: "1" });
    publications.heard("plant.other", undefined);
    await notes.clock.advance(10);
    assert.deepEqual(notes.said.splice(0), ['plant.a {"n":"1"}']);
    publications.heard("plant.a", { farewell: "true" });
    publications.heard("plant.a", { farewell: "true" });
    await notes.clock.advance(10);
    assert.deepEqual(notes.said.splice(0), ['plant.a {"n":"1"}']);
    publications.heard("plant.a", undefined);
    await notes.clock.advance(10);
    assert.deepEqual(notes.said, ['plant.a {"n":"1"}']);
  });

  it("is said at once by who speaks again while a last word is on its way", async () => {
    const notes = new Notes();
    using publications = notes.publications;
    await publications.say("plant.a", "plant", { n: "1" });
    notes.arrived = new Promise(() => {});
    const ended = publications.end("plant.a", { farewell: "true" });
    await notes.clock.advance(1);
    notes.arrived = Promise.resolve();
    const start = performance.now();
    await publications.say("plant.a", "plant", { n: "2" });
    await ended;
    assert.ok(performance.now() - start < 2_000);
    assert.deepEqual(notes.said, ['plant.a {"n":"1"}', 'plant.a {"farewell":"true"}', 'plant.a {"n":"2"}']);
  });

  it("is said again when it was lost, and only what was said here", async () => {
    const notes = new Notes();
    using publications = notes.publications;
    await publications.say("plant.a", "plant", {});
    publications.again("plant.a");
    publications.again("plant.other");
    await notes.clock.advance(10);
    assert.deepEqual(notes.said, ["plant.a {}", "plant.a {}"]);
  });
});
