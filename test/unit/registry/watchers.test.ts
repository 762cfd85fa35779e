import assert from "node:assert/strict";
import fc from "fast-check";
import { Watchers } from "../../../registry/watchers.js";
import { countingKind, line, type Thing, thing } from "./things.js";

describe("watchers", () => {
  let kind: ReturnType<typeof countingKind>;
  let watchers: Watchers<Thing>;
  let stop: AbortController;
  beforeEach(() => {
    kind = countingKind();
    watchers = new Watchers(kind);
    stop = new AbortController();
  });
  afterEach(() => stop.abort());

  /** A watch that listens already, and reads when told. */
  async function watching(query: Thing, now: readonly Thing[] = []) {
    const reader = watchers.watch(query, () => now, stop.signal);
    let next = reader.next();
    return {
      end: () => reader.return(undefined),
      /** Reads until nothing has come for a turn. */
      async read(): Promise<string[]> {
        const lines: string[] = [];
        for (;;) {
          const result = await Promise.race([next, new Promise<undefined>((resolve) => setImmediate(() => resolve(undefined)))]);
          if (result === undefined || result.done) return lines;
          lines.push(line(result.value));
          next = reader.next();
        }
      },
    };
  }

  it("tells what is there first, then what comes, changes and goes", async () => {
    const watch = await watching(thing(""), [thing("a"), thing("b")]);
    assert.deepEqual(await watch.read(), ["+a", "+b"]);
    watchers.tell(undefined, thing("c"));
    assert.deepEqual(await watch.read(), ["+c"]);
    watchers.tell(thing("a"), thing("a", [], "2"));
    watchers.tell(thing("b"), undefined);
    assert.deepEqual(await watch.read(), ["+a2", "-b"]);
  });

  it("takes leave of what no longer matches, and greets what does now", async () => {
    const watch = await watching(thing("", ["x"]), [thing("a", ["x"])]);
    await watch.read();
    watchers.tell(thing("a", ["x"]), thing("a", ["y"]));
    watchers.tell(thing("b", ["y"]), thing("b", ["x"]));
    assert.deepEqual(await watch.read(), ["-a", "+b"]);
  });

  it("asks only those whom a change can concern", async () => {
    const watches = await Promise.all(
      [thing("a"), thing("b"), thing("", ["x"]), thing("", ["y"]), thing("")].map((query) => watching(query)),
    );
    kind.looked = 0;
    watchers.tell(undefined, thing("a", ["x"]));
    // The one by the name a, the one by the tag x, and the one for everything.
    assert.equal(kind.looked, 3);
    assert.deepEqual(await Promise.all(watches.map((watch) => watch.read())), [["+a"], [], ["+a"], [], ["+a"]]);
  });

  it("tells a slow reader the latest of each name, once", async () => {
    const watch = await watching(thing(""), [thing("first")]);
    for (let at = 0; at < 100; at++) watchers.tell(thing("a", [], `${at - 1}`), thing("a", [], `${at}`));
    watchers.tell(undefined, thing("b"));
    assert.deepEqual(await watch.read(), ["+first", "+a99", "+b"]);
  });

  it("never mentions to a slow reader what came and went", async () => {
    const watch = await watching(thing(""), [thing("first")]);
    for (let at = 0; at < 1_000; at++) {
      watchers.tell(undefined, thing(`t${at}`));
      watchers.tell(thing(`t${at}`), undefined);
    }
    assert.deepEqual(await watch.read(), ["+first"]);
  });

  it("tells of an end that the reader has to know, also when it came back and went again", async () => {
    const watch = await watching(thing(""), [thing("a"), thing("b")]);
    await watch.read();
    watchers.tell(undefined, thing("busy"));
    watchers.tell(thing("a"), undefined);
    watchers.tell(undefined, thing("a", [], "2"));
    watchers.tell(thing("a", [], "2"), undefined);
    watchers.tell(thing("b"), undefined);
    watchers.tell(undefined, thing("b", [], "2"));
    assert.deepEqual(await watch.read(), ["+busy", "-a", "+b2"]);
  });

  it("leaves each reader knowing what is there, whatever its pace", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom("a", "b", "c"), fc.constantFrom("put", "delete", "read")), { maxLength: 60 }),
        async (steps) => {
          const there = new Map<string, Thing>();
          const known = new Map<string, string>();
          const watch = await watching(thing(""));
          const read = async () => {
            for (const said of await watch.read()) {
              const name = said.charAt(1);
              if (said.startsWith("-")) assert.ok(known.delete(name), `${said} was never told`);
              else known.set(name, said.slice(2));
            }
          };
          for (const [at, [name, what]] of steps.entries()) {
            if (what === "read") await read();
            const [before, after] = [there.get(name), what === "put" ? thing(name, [], `${at}`) : undefined];
            if (what === "read" || (before === undefined && after === undefined)) continue;
            if (after === undefined) there.delete(name);
            else there.set(name, after);
            watchers.tell(before, after);
          }
          await read();
          assert.deepEqual(Object.fromEntries(known), Object.fromEntries([...there].map(([name, { content }]) => [name, content])));
          stop.abort();
          stop = new AbortController();
        },
      ),
      { numRuns: 60 },
    ));

  it("holds up nobody while one reader stands still", async () => {
    await watching(thing(""), [thing("never read")]);
    const quick = await watching(thing(""));
    for (let at = 0; at < 10; at++) {
      watchers.tell(undefined, thing(`t${at}`));
      assert.deepEqual(await quick.read(), [`+t${at}`]);
    }
  });

  it("lets go of a reader that leaves, that is stopped, or when it is closed", async () => {
    const watch = await watching(thing("a"), [thing("a")]);
    await watching(thing("b"));
    await watching(thing("", ["x"]));
    assert.equal(watchers.size, 3);
    await watch.end();
    assert.equal(watchers.size, 2);
    stop.abort();
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(watchers.size, 0);
    stop = new AbortController();
    const closing = watchers.watch(thing(""), () => [], stop.signal).next();
    watchers.close();
    assert.equal((await closing).done, true);
    assert.equal(watchers.size, 0);
  });
});
