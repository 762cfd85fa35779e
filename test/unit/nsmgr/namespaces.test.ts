import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silent } from "../../../core/log.js";
import { NamespaceWatch, netnsPath, realNamespaces } from "../../../nsmgr/namespaces.js";
import { FakeClock } from "../../lib/fakeClock.js";
import { FakeNamespaces } from "../../lib/mesh/namespaces.js";

describe("network namespaces as nsmgr sees them", () => {
  it("identifies one by its path", () => {
    const identity = realNamespaces.identify("file:///proc/self/ns/net");
    assert.match(identity, /^\d+:\d+$/);
    assert.equal(realNamespaces.look("file:///proc/self/ns/net"), identity);
  });

  it("says that a path leads nowhere", () => {
    const code = "invalid";
    assert.throws(() => realNamespaces.identify("file:///run/netns/none"), { code, message: /no network namespace at \/run\/netns\/none/ });
    assert.equal(realNamespaces.look("file:///run/netns/none"), undefined);
  });

  it("tells a plain file from a namespace", () => {
    const folder = mkdtempSync(join(tmpdir(), "nsmgr-"));
    try {
      writeFileSync(join(folder, "file"), "");
      assert.throws(() => realNamespaces.identify(`file://${folder}/file`), { code: "invalid", message: /is not a network namespace/ });
      assert.throws(() => realNamespaces.identify(`file://${folder}/file/below`), { code: "invalid" });
      assert.equal(realNamespaces.look(`file://${folder}/file`), undefined);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  for (const url of ["", "/run/netns/a", "file://host/run/netns/a", "inode://4/4026532", "file:///run/%00", "file:///%zz"])
    it(`refuses ${JSON.stringify(url)}`, () => {
      assert.throws(() => realNamespaces.identify(url), { code: "invalid" });
      assert.equal(realNamespaces.look(url), undefined);
    });

  it("takes a path out of a url", () => {
    assert.equal(netnsPath("file:///proc/1/ns/net"), "/proc/1/ns/net");
  });
});

describe("the watch on namespaces", () => {
  it("tells everybody once, within half a second, that one is gone or another one", async () => {
    const clock = new FakeClock();
    const namespaces = new FakeNamespaces();
    const gone: string[] = [];
    using watch = new NamespaceWatch({ namespaces, clock, log: silent });
    for (const pod of ["a", "b", "c"]) {
      const url = namespaces.add(pod);
      watch.add(url, namespaces.identify(url), () => gone.push(pod));
      watch.add(url, namespaces.identify(url), () => gone.push(`${pod} again`));
    }
    await clock.advance(2_000);
    assert.deepEqual(gone, []);
    namespaces.remove("a");
    namespaces.add("b");
    await clock.advance(500);
    assert.deepEqual(gone, ["a", "a again", "b", "b again"]);
    await clock.advance(2_000);
    assert.equal(gone.length, 4);
  });

  it("has no timer while nothing is watched", async () => {
    const clock = new FakeClock();
    const namespaces = new FakeNamespaces();
    const watch = new NamespaceWatch({ namespaces, clock, log: silent });
    assert.equal(clock.pending, 0);
    const url = namespaces.add("a");
    watch.add(url, namespaces.identify(url), () => assert.fail("it is there"))[Symbol.dispose]();
    await clock.advance(1_000);
    assert.equal(clock.pending, 0);
    watch[Symbol.dispose]();
  });
});
