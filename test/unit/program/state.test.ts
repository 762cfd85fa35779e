import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { nodeId } from "../../../program/nodeId.js";
import { openStore, type StateStore } from "../../../program/state.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

async function during(store: StateStore, use: (store: StateStore) => Promise<void>): Promise<void> {
  await using open = store;
  await use(open);
}

describe("the state store", () => {
  it("keeps JSON values, in a folder that is its owner's alone", async () => {
    const dir = join(folder, "a", "state");
    {
      await using store = openStore(dir);
      await store.put("lease/1", { address: "10.0.0.1", tags: ["a", null, 1.5] });
      await store.put("name", "");
      assert.deepEqual(store.get("lease/1"), { address: "10.0.0.1", tags: ["a", null, 1.5] });
    }
    assert.equal(statSync(dir).mode & 0o777, 0o700);
    await using again = openStore(dir);
    assert.deepEqual(
      [again.get("lease/1"), again.get("name"), again.get("none")],
      [{ address: "10.0.0.1", tags: ["a", null, 1.5] }, "", undefined],
    );
  });

  it("lists what begins with a prefix, in order, and nothing else", async () => {
    await using store = openStore(folder);
    for (const key of ["b/2", "a/9", "b/10", "b", "b0", "c/1", "b/ü"]) await store.put(key, key);
    assert.deepEqual(
      [...store.entries("b/")],
      ["b/10", "b/2", "b/ü"].map((key) => [key, key]),
    );
    assert.equal([...store.entries("")].length, 7);
    assert.deepEqual([...store.entries("x")], []);
  });

  it("removes, also what is not there, and while it lists", async () => {
    await using store = openStore(folder);
    await Promise.all(Array.from({ length: 100 }, (_, at) => store.put(`k/${at}`, at)));
    await Promise.all([...store.entries("k/")].map(([key]) => store.remove(key)));
    await store.remove("never");
    assert.deepEqual([...store.entries("")], []);
  });

  it("refuses a key that cannot be one", async () => {
    await using store = openStore(folder);
    await assert.rejects(store.put("", 1), { code: "invalid", message: "a key of the state must have 1 to 512 bytes, got 0" });
    await assert.rejects(store.put("x".repeat(513), 1), { code: "invalid" });
  });

  it("says which folder cannot be had", () => {
    writeFileSync(join(folder, "file"), "");
    assert.throws(() => openStore(join(folder, "file", "state")), {
      code: "internal",
      message: new RegExp(`cannot open the state in ${folder}/file/state`),
    });
  });

  it("loses nothing that it has acknowledged to a kill -9", async () => {
    const script = fileURLToPath(new URL("../../lib/putForever.ts", import.meta.url));
    const child = spawn(process.execPath, ["--import=tsx", script, folder], { stdio: ["ignore", "pipe", "inherit"] });
    const gone = once(child, "exit");
    let acknowledged = -1;
    for await (const line of createInterface({ input: child.stdout })) {
      acknowledged = Number(line);
      if (acknowledged === 50) child.kill("SIGKILL");
    }
    assert.deepEqual(await gone, [null, "SIGKILL"]);
    assert.ok(acknowledged >= 50);
    await using store = openStore(folder);
    for (let count = 0; count <= acknowledged; count++)
      assert.deepEqual(store.get(`k/${count}`), { count }, `k/${count} of ${acknowledged}`);
    await store.put("after", true);
    assert.equal(store.get("after"), true);
  });
});

describe("the state store of an earlier boot", () => {
  it("is kept when it was closed", async () => {
    await during(openStore(folder, "first"), (store) => store.put("a", 1));
    await during(openStore(folder, "second"), async (store) => assert.equal(store.get("a"), 1));
  });

  it("begins empty when the power was cut, for the file may be torn", async () => {
    const left = mkdtempSync(join(tmpdir(), "isthmus-"));
    await during(openStore(folder, "first"), async (store) => {
      await store.put("a", 1);
      cpSync(folder, left, { recursive: true });
    });
    await during(openStore(left, "second"), async (store) => {
      assert.deepEqual([...store.entries("")], []);
      await store.put("b", 2);
    });
    await during(openStore(left, "third"), async (store) => assert.equal(store.get("b"), 2));
    rmSync(left, { recursive: true });
  });
});

describe("the node id", () => {
  it("is made once and kept", () => {
    const id = nodeId(join(folder, "state"));
    assert.match(id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    assert.equal(nodeId(join(folder, "state")), id);
    assert.notEqual(nodeId(join(folder, "other")), id);
    assert.equal(statSync(join(folder, "state", "node-id")).mode & 0o777, 0o600);
  });

  it("is never replaced silently when it was damaged", () => {
    writeFileSync(join(folder, "node-id"), "garbage");
    assert.throws(() => nodeId(folder), { code: "invalid", message: /must hold a UUID, got "garbage"; restore it, or remove it/ });
  });
});
