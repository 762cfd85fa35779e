import assert from "node:assert/strict";
import { Serial } from "../../../core/serial.js";
import { deferred, settled } from "../../lib/chainKit.js";

describe("Serial", () => {
  it("runs tasks of one key one at a time, in order", async () => {
    const serial = new Serial();
    const lines: string[] = [];
    const gate = deferred();
    const first = serial.run("a", async () => {
      lines.push("first begins");
      await gate.promise;
      lines.push("first ends");
    });
    const second = serial.run("a", async () => void lines.push("second"));
    await settled();
    assert.deepEqual(lines, ["first begins"]);
    gate.resolve();
    await Promise.all([first, second]);
    assert.deepEqual(lines, ["first begins", "first ends", "second"]);
  });

  it("does not let one key wait for another", async () => {
    const serial = new Serial();
    const gate = deferred();
    const stuck = serial.run("a", () => gate.promise);
    assert.equal(await serial.run("b", async () => "done"), "done");
    gate.resolve();
    await stuck;
  });

  it("goes on after a task that failed, and says that it did", async () => {
    const serial = new Serial();
    const failed = serial.run("a", async () => {
      throw new Error("no");
    });
    const after = serial.run("a", async () => 2);
    await assert.rejects(failed, /no/);
    assert.equal(await after, 2);
  });

  it("turns a task that throws at once into a rejection", async () => {
    const failed = new Serial().run("a", () => {
      throw new Error("at once");
    });
    await assert.rejects(failed, /at once/);
  });
});
