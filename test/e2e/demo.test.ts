import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { resolve } from "node:path";
import { run } from "../lib/command.js";

const script = resolve(import.meta.dirname, "../../examples/two-sites/run.sh");
const prefix = "te-demo";

describe("the demo", function () {
  this.timeout(120_000);

  it("joins two sites, shows that the WAN saw only the tunnel, fits one screen and leaves nothing", async () => {
    const done = await run("bash", [script], { timeoutMs: 110_000, env: { ...process.env, DEMO_PREFIX: prefix } });
    assert.equal(done.code, 0, done.stdout + done.stderr);
    assert.match(done.stdout, /connected in [\d.]+ ms: nsm0/);
    assert.match(done.stdout, /5 packets transmitted, 5 received/);
    assert.match(done.stdout, /on the WAN: 0 times/);
    assert.ok(done.stdout.split("\n").length <= 60, `${done.stdout.split("\n").length} lines`);
    assert.deepEqual(
      readdirSync("/run/netns").filter((name) => name.startsWith(`${prefix}-`)),
      [],
    );
    assert.equal(existsSync(`/run/isthmus/${prefix}`) || existsSync(`/var/lib/isthmus/${prefix}`), false);
  });
});
