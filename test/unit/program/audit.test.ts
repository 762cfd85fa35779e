import assert from "node:assert/strict";
import { readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { silent } from "../../../core/log.js";
import { openAuditLog } from "../../../program/audit.js";
import { FakeClock } from "../../lib/fakeClock.js";
import { newFolder } from "../../lib/folder.js";
import { MemoryAudit } from "../../lib/mesh/audit.js";

const denial = { who: "spiffe://test/a", what: "request", on: "web", sentence: "a may not request web" };

describe("the audit log", () => {
  it("has a line with time, who, what, on what and the sentence for every denial and change", () => {
    const clock = new FakeClock();
    const audit = new MemoryAudit(clock);
    audit.denied(denial);
    audit.changed({ ...denial, what: "policy" });
    const time = new Date(clock.now()).toISOString();
    assert.deepEqual(audit.lines, [
      { time, event: "denied", ...denial },
      { time, event: "changed", ...denial, what: "policy" },
    ]);
  });

  it("writes one error once, whoever passes it on", () => {
    const audit = new MemoryAudit(new FakeClock());
    const error = new Error("denied");
    audit.denied(denial, error);
    audit.denied({ ...denial, who: "the one at the door" }, error);
    assert.deepEqual(
      audit.lines.map(({ who }) => who),
      ["spiffe://test/a"],
    );
  });

  it("counts repeats, and tells them in one line every ten seconds", async () => {
    const clock = new FakeClock();
    const audit = new MemoryAudit(clock);
    for (let i = 0; i < 500; i++) audit.denied(denial);
    assert.equal(audit.lines.length, 1);
    await clock.advance(10_000);
    assert.deepEqual(
      audit.lines.map(({ repeats }) => repeats),
      [undefined, 499],
    );
    audit.denied(denial);
    assert.equal(audit.lines.length, 3);
    await clock.advance(10_000);
    assert.equal(audit.lines.length, 3);
  });

  it("is bounded when every denial is another one", async () => {
    const clock = new FakeClock();
    const audit = new MemoryAudit(clock);
    for (let i = 0; i < 5_000; i++) audit.denied({ ...denial, on: `service ${i}` });
    assert.equal(audit.lines.length, 1_000);
    audit[Symbol.dispose]();
    assert.equal(audit.lines.length, 1_001);
    assert.equal(audit.lines.at(-1)?.repeats, 4_000);
  });

  it("is a file of mode 0600 that may be moved away", () => {
    using dir = newFolder();
    const file = join(dir.path, "state", "audit.log");
    const audit = openAuditLog(file, { clock: new FakeClock(), log: silent });
    audit.denied(denial);
    renameSync(file, `${file}.1`);
    audit.denied({ ...denial, on: "other" });
    for (const [name, on] of [
      [`${file}.1`, "web"],
      [file, "other"],
    ] as const) {
      assert.equal(statSync(name).mode & 0o777, 0o600);
      assert.equal((JSON.parse(readFileSync(name, "utf8")) as { on: string }).on, on);
    }
  });

  it("keeps one file beside it when it has grown too large, also over a restart", () => {
    using dir = newFolder();
    const file = join(dir.path, "audit.log");
    const parts = { clock: new FakeClock(), log: silent };
    const line = JSON.stringify({ time: new Date(parts.clock.now()).toISOString(), event: "denied", ...denial }).length + 1;
    for (let n = 0; n < 5; n++) openAuditLog(file, parts, 2 * line).denied(denial);
    assert.deepEqual(
      [file, `${file}.1`].map((one) => statSync(one).size),
      [line, 2 * line],
    );
    assert.equal(statSync(`${file}.1`).mode & 0o777, 0o600);
  });

  it("that cannot be written is refused at start", () => {
    using dir = newFolder();
    writeFileSync(join(dir.path, "a-file"), "");
    const file = join(dir.path, "a-file", "audit.log");
    assert.throws(() => openAuditLog(file, { clock: new FakeClock(), log: silent }), /NSM_AUDIT_LOG.*a-file/);
  });
});
