import assert from "node:assert/strict";
import { run } from "../../../cli/program.js";
import { FakeClock } from "../../lib/fakeClock.js";

/** `nsmctl policy …` about the example, as a pod of paris. */
async function policy(...words: string[]): Promise<{ readonly code: number; readonly out: string }> {
  let out = "";
  const context = {
    ...{ err: () => {}, env: {}, clock: new FakeClock(), signal: new AbortController().signal },
    out: (text: string) => {
      out += text;
    },
  };
  const asked = ["-f", "examples/policy.yaml", "--as", "spiffe://paris/node/paris-1/nsmgr/isthmus-pod/tv", "--may", "request"];
  const [verb = "", ...more] = words;
  return { code: await run(context, ["policy", verb, ...asked, ...more]), out };
}

describe("nsmctl policy", () => {
  it("test ends with 0 for what a file allows, and names the rule", async () =>
    assert.deepEqual(await policy("test", "--service", "camera-feed", "--pod-label", "role=viewer"), {
      code: 0,
      out: "allowed by rule 4 (viewers)\n",
    }));

  it("test ends with 1 for what it does not, and says which rule is missing", async () => {
    const { code, out } = await policy("test", "--service", "camera-feed", "--pod-label", "role=guest");
    assert.equal(code, 1);
    assert.match(out, /^denied: .*\(a pod with role=guest\) may not request "camera-feed".*rule 4 \(viewers\) comes nearest/);
  });

  it("explain says the same and ends with 0", async () => {
    assert.deepEqual(await policy("explain", "--service", "public-x"), { code: 0, out: "allowed by rule 5 (public)\n" });
    const { code, out } = await policy("explain", "--service", "camera-feed");
    assert.equal(code, 0);
    assert.match(out, /^denied: /);
  });

  it("says it as JSON for programs", async () => {
    const allowed = await policy("explain", "--service", "public-x", "-o", "json");
    assert.deepEqual(JSON.parse(allowed.out), { allowed: true, rule: "rule 5 (public)" });
    const { code, out } = await policy("test", "--service", "camera-feed", "-o", "json");
    const told = JSON.parse(out) as { allowed: boolean; missing: string };
    assert.deepEqual([code, told.allowed], [1, false]);
    assert.match(told.missing, /may not request "camera-feed"/);
  });
});
