import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const script = fileURLToPath(new URL("../../lib/program.ts", import.meta.url));

/** A small real program; what it prints, line by line, and how it ended. */
function run(...argv: string[]) {
  const child = spawn(process.execPath, ["--import=tsx", script, ...argv], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH },
  });
  const lines: string[] = [];
  const errors: string[] = [];
  createInterface({ input: child.stderr }).on("line", (line) => errors.push(line));
  const said = (text: string) => until(child, lines, text);
  createInterface({ input: child.stdout }).on("line", (line) => {
    lines.push(line);
    child.emit("said", line);
  });
  const ended = once(child, "close").then(([code, signal]) => ({ code, signal, lines, errors: errors.join("\n") }));
  return { child, said, ended };
}

async function until(child: ChildProcess, lines: readonly string[], text: string): Promise<void> {
  while (!lines.includes(text)) await once(child, "said");
}

describe("a program", () => {
  it("stops in order at SIGTERM and ends by itself", async () => {
    const { child, said, ended } = run("--name", "a");
    await said("running a");
    child.kill("SIGTERM");
    const { code, lines, errors } = await ended;
    assert.deepEqual([code, lines], [0, ["running a", "told to stop", "disposed"]]);
    assert.match(errors, /"msg":"started".*"msg":"stopping".*"msg":"stopped"/s);
  });

  it("leaves at once at the second signal", async () => {
    const { child, said, ended } = run("--name", "stubborn");
    await said("running stubborn");
    child.kill("SIGTERM");
    await said("told to stop");
    child.kill("SIGINT");
    assert.equal((await ended).code, 1);
  });

  it("says what is wrong with its configuration, and ends with 2", async () => {
    const { code, errors } = await run("--name", "a", "--log-level", "LOUD").ended;
    assert.equal(code, 2);
    assert.equal(errors, 'sample: --log-level is "LOUD"; it must be one of TRACE, DEBUG, INFO, WARN, ERROR, FATAL');
  });

  it("logs why it cannot start, and ends with 1", async () => {
    const { code, errors } = await run("--name", "broken").ended;
    assert.equal(code, 1);
    assert.match(errors, /"reason":"the registry is not there","code":"unreachable","msg":"cannot start"/);
  });

  it("logs an unhandled rejection, and ends with 1", async () => {
    const { code, errors } = await run("--name", "careless").ended;
    assert.equal(code, 1);
    assert.match(errors, /"message":"forgotten".*"msg":"unhandled rejection"/s);
  });

  it("explains itself and tells its version", async () => {
    const [help, version] = await Promise.all([run("--help").ended, run("--version").ended]);
    assert.deepEqual([help.code, version.code], [0, 0]);
    assert.match(help.lines.join("\n"), /--log-level +LOG_LEVEL/);
    assert.match(version.lines.join("\n"), /^sample \d+\.\d+\.\d+$/);
  });
});
