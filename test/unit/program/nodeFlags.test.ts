import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { nodeFlags } from "../../../program/nodeFlags.js";

describe("the first line of a program", () => {
  for (const program of ["registry", "nsmgr", "forwarder"] as const)
    it(`of ${program} runs Node with the flags that the lab gives it`, () => {
      const [first] = readFileSync(new URL(`../../../${program}/main.ts`, import.meta.url), "utf8").split("\n");
      assert.equal(first, `#!/usr/bin/env -S node ${nodeFlags[program].join(" ")}`);
    });
});
