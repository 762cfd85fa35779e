import assert from "node:assert/strict";
import { createLog } from "../../../program/log.js";

function captured(level: "INFO" | "DEBUG" = "INFO") {
  const lines: Record<string, unknown>[] = [];
  const log = createLog({ name: "nsmgr", level, destination: { write: (line: string) => void lines.push(JSON.parse(line)) } });
  return { log, lines };
}

describe("the log", () => {
  it("writes an event's name and its fields", () => {
    const { log, lines } = captured();
    log.child({ connection: "c1" }).info("route added", { dst: "10.0.0.0/24" });
    assert.deepEqual([lines[0]?.msg, lines[0]?.name, lines[0]?.connection, lines[0]?.dst], ["route added", "nsmgr", "c1", "10.0.0.0/24"]);
  });

  it("writes no secrets", () => {
    const { log, lines } = captured();
    log.warn("peer", { token: "abc", peer: { privateKey: "abc", name: "p" }, path: { segment: { token: "abc" } } });
    log.child({ secret: "abc" }).warn("again");
    assert.equal(JSON.stringify(lines).includes("abc"), false);
    assert.deepEqual(lines[0]?.peer, { privateKey: "(secret)", name: "p" });
  });

  it("writes an error with its stack under any name", () => {
    const { log, lines } = captured();
    log.error("failed", { cause: new TypeError("why") });
    const cause = lines[0]?.cause as { message: string; type: string; stack: string };
    assert.deepEqual([cause.message, cause.type], ["why", "TypeError"]);
    assert.match(cause.stack, /log\.test/);
  });

  it("keeps quiet below its level", () => {
    const { log, lines } = captured();
    log.debug("detail");
    assert.deepEqual(lines, []);
    const loud = captured("DEBUG");
    loud.log.debug("detail");
    assert.equal(loud.lines.length, 1);
  });
});
