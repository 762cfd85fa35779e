import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silent } from "../../../core/log.js";
import { PrefixFile, parsePrefixes } from "../../../nsmgr/prefixFile.js";
import { FakeClock } from "../../lib/fakeClock.js";
import { until } from "../../lib/until.js";

describe("the file of excluded prefixes", () => {
  it("is a list under prefixes", () => {
    assert.deepEqual(parsePrefixes("prefixes:\n  - 10.96.0.0/12\n  - fd00::/8\n", "f"), ["10.96.0.0/12", "fd00::/8"]);
    assert.deepEqual(parsePrefixes("", "f"), []);
    assert.deepEqual(parsePrefixes("prefixes:\n", "f"), []);
  });

  it("is refused with what is wrong in it", () => {
    assert.throws(() => parsePrefixes("prefixes: [10.0.0.0/33]", "/etc/x"), {
      code: "invalid",
      message: /\/etc\/x: prefixes.0 must be a prefix/,
    });
    assert.throws(() => parsePrefixes("prefixes: {", "/etc/x"), { code: "invalid", message: /no YAML/ });
  });

  it("is read again when it is replaced, and keeps the last good state", async () => {
    const folder = mkdtempSync(join(tmpdir(), "nsmgr-"));
    const path = join(folder, "excluded.yaml");
    const put = (text: string) => {
      writeFileSync(`${path}.new`, text);
      renameSync(`${path}.new`, path);
    };
    using file = new PrefixFile({ path, clock: new FakeClock(), log: silent });
    try {
      assert.deepEqual(file.prefixes, []);
      put("prefixes: [10.0.0.0/8]");
      await until("the file is read", 2_000, () => file.prefixes.length === 1);
      put("prefixes: [nonsense]");
      put("prefixes: [nonsense, 10.0.0.0/8]");
      put("prefixes: [10.0.0.0/8, fd00::/8]");
      await until("the file is read again", 2_000, () => file.prefixes.length === 2);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("is found later in a folder that is made later", async () => {
    const folder = mkdtempSync(join(tmpdir(), "nsmgr-"));
    const path = join(folder, "later", "excluded.yaml");
    const clock = new FakeClock();
    using file = new PrefixFile({ path, clock, log: silent });
    try {
      mkdirSync(join(folder, "later"));
      writeFileSync(path, "prefixes: [10.0.0.0/8]");
      await clock.advance(5_000);
      assert.deepEqual(file.prefixes, ["10.0.0.0/8"]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
