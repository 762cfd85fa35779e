import assert from "node:assert/strict";
import { asMeshError, MeshError } from "../../../core/error.js";

describe("any thrown thing as one of ours", () => {
  it("is itself where it is one", () => {
    const error = new MeshError("denied", "no");
    assert.equal(asMeshError(error), error);
  });

  it("is what failed first, not what failed while that was cleaned up", async () => {
    const first = new MeshError("kernel", "no such device");
    const thrown = await cleaningUpFails(first).catch((error: unknown) => error);
    assert.notEqual(thrown, first);
    assert.equal(asMeshError(thrown), first);
  });

  it("has the code that its thrower would have chosen, where there is none", () => {
    assert.equal(asMeshError(new Error("broken"), "kernel").code, "kernel");
    assert.equal(asMeshError("broken").message, "broken");
  });
});

async function cleaningUpFails(first: Error): Promise<void> {
  await using _ = {
    async [Symbol.asyncDispose]() {
      throw new Error("and that could not be cleaned up");
    },
  };
  throw first;
}
