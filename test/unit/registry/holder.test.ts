import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { isRunning, thisProcess } from "../../../registry/holder.js";
import { Running } from "../../lib/command.js";
import { until } from "../../lib/until.js";

const fieldsOf = (pid: number): string[] => readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];

describe("the holder of a store", () => {
  it("is this process while it runs", () => assert.ok(isRunning(thisProcess())));

  it("is not another one that got its number", () => assert.equal(isRunning(`${thisProcess()}0`), false));

  it("runs no more when it was killed, also before its parent has waited for it", async () => {
    // The shell becomes a program that never waits for the child.
    await using parent = new Running("sh", ["-c", "sleep 30 & echo child $! ; exec sleep 30"]);
    const [, text] = await parent.match(/child (\d+)/);
    const pid = Number(text);
    const [boot] = thisProcess().split(" ");
    // Until then it is a shell, which may wait for its child after all.
    await until("the shell is another program", 2_000, () => readFileSync(`/proc/${fieldsOf(pid)[1]}/comm`, "utf8") === "sleep\n");
    const holder = `${boot} ${pid} ${fieldsOf(pid)[19]}`;
    assert.ok(isRunning(holder));
    process.kill(pid, "SIGKILL");
    await until("it is a zombie", 2_000, () => fieldsOf(pid)[0] === "Z");
    assert.equal(isRunning(holder), false);
  });
});
