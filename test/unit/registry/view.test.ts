import assert from "node:assert/strict";
import { MeshError } from "../../../core/error.js";
import { silent } from "../../../core/log.js";
import { openMemoryStore } from "../../../registry/memory.js";
import type { Store } from "../../../registry/store.js";
import { View } from "../../../registry/view.js";
import { FakeClock } from "../../lib/fakeClock.js";
import { countingKind, line, type Thing, thing } from "./things.js";

const signal = () => AbortSignal.timeout(5_000);

describe("the view", () => {
  let clock: FakeClock;
  let store: Store;
  let view: View<Thing>;
  const kind = countingKind();
  const open = (of: Store) => View.open({ kind, store: of, clock, log: silent });
  const put = async (...things: readonly Thing[]) =>
    (await store.commit({ writes: things.map((one) => ({ op: "put", key: `things/${one.name}`, value: kind.encode(one) })) })).revision;
  const names = (of: View<Thing>) =>
    of
      .find(thing(""))
      .map(({ name }) => name)
      .sort();

  beforeEach(async () => {
    clock = new FakeClock();
    store = openMemoryStore({ clock, log: silent, historyLimit: 10 });
    await put(thing("a"), thing("b", ["x"]));
    view = await open(store);
  });
  afterEach(async () => {
    await view[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
  });

  it("shows what the store had when it was opened", () => {
    assert.deepEqual(names(view), ["a", "b"]);
    assert.deepEqual(view.find(thing("", ["x"])), [thing("b", ["x"])]);
    assert.deepEqual(view.get("a"), thing("a"));
  });

  it("shows what was committed once it has settled", async () => {
    const revision = await put(thing("c"));
    await view.settled(revision, signal());
    assert.deepEqual(names(view), ["a", "b", "c"]);
    await view.settled(revision, signal());
  });

  it("shows the same as another view of the same store", async () => {
    await using other = await open(store);
    const revision = await put(thing("c"));
    await Promise.all([view.settled(revision, signal()), other.settled(revision, signal())]);
    assert.deepEqual(names(other), names(view));
  });

  it("stops waiting when the caller goes away", async () => {
    const stop = new AbortController();
    const waiting = view.settled(99, stop.signal);
    stop.abort();
    await assert.rejects(waiting, (error) => error instanceof MeshError && error.code === "cancelled");
    await assert.rejects(view.settled(99, stop.signal));
  });

  it("watches from what is there, without a gap", async () => {
    const lines: string[] = [];
    for await (const found of view.watch(thing(""), signal())) {
      lines.push(line(found));
      if (lines.length === 1) await put(thing("c"));
      if (lines.length === 3) await store.commit({ writes: [{ op: "delete", key: "things/a" }] });
      if (lines.length === 4) break;
    }
    assert.deepEqual(lines, ["+a", "+b", "+c", "-a"]);
    assert.equal(view.watched, 0);
  });

  it("reads everything again when the store's history has moved past it, and tells its watchers", async () => {
    const gate = new Gate(store);
    await using late = await open(gate);
    const watch = late.watch(thing(""), signal())[Symbol.asyncIterator]();
    assert.deepEqual([line((await watch.next()).value), line((await watch.next()).value)], ["+a", "+b"]);
    await store.commit({ writes: [{ op: "delete", key: "things/a" }] });
    for (let at = 0; at < 40; at++) await put(thing("b", [], `${at}`));
    const last = await put(thing("c"));
    gate.open();
    await late.settled(last, signal());
    const told = [line((await watch.next()).value), line((await watch.next()).value), line((await watch.next()).value)];
    assert.deepEqual(told.sort(), ["+b39", "+c", "-a"]);
    await watch.return?.();
  });

  it("goes on after the store was away", async () => {
    const gate = new Gate(store);
    gate.open();
    await using patient = await open(gate);
    gate.breakNext();
    await put(thing("c"));
    await clock.advance(2_000);
    const revision = await put(thing("d"));
    await clock.advance(2_000);
    await patient.settled(revision, signal());
    assert.deepEqual(names(patient), ["a", "b", "c", "d"]);
  });

  it("passes over a record that it cannot read", async () => {
    await store.commit({ writes: [{ op: "put", key: "things/bad", value: Buffer.from("not what it should be") }] });
    await view.settled(await put(thing("c")), signal());
    assert.deepEqual(names(view), ["a", "b", "c"]);
  });

  it("leaves no timer and no watch behind", async () => {
    const watch = view.watch(thing("none"), signal())[Symbol.asyncIterator]().next();
    await view[Symbol.asyncDispose]();
    assert.equal((await watch).done, true);
    assert.equal(clock.pending, 0);
  });
});

/** A store whose watches can be held back, or broken. */
class Gate implements Store {
  readonly #store: Store;
  readonly #opened: Promise<void>;
  open: () => void = () => {};
  #broken = false;

  constructor(store: Store) {
    this.#store = store;
    this.#opened = new Promise((resolve) => {
      this.open = resolve;
    });
  }

  breakNext(): void {
    this.#broken = true;
  }

  async *watch(prefix: string, options: { readonly after: number; readonly signal: AbortSignal }) {
    await this.#opened;
    for await (const batch of this.#store.watch(prefix, options)) {
      if (this.#broken) {
        this.#broken = false;
        throw new MeshError("unreachable", "the store does not answer");
      }
      yield batch;
    }
  }

  get abilities() {
    return this.#store.abilities;
  }
  get: Store["get"] = (key) => this.#store.get(key);
  list: Store["list"] = (prefix) => this.#store.list(prefix);
  commit: Store["commit"] = (transaction) => this.#store.commit(transaction);
  grant: Store["grant"] = (ttlMs) => this.#store.grant(ttlMs);
  renew: Store["renew"] = (lease) => this.#store.renew(lease);
  revoke: Store["revoke"] = (lease) => this.#store.revoke(lease);
  async [Symbol.asyncDispose]() {}
}
