import assert from "node:assert/strict";
import { hopsOf, mayChange } from "../../../registry/hops.js";
import { by, jwt, refused, registryId, through, token } from "./site.js";

const tokens = async () => token(registryId, 600_000);
const now = 100_000;

describe("the way of a registration", () => {
  it("starts a path for a caller that sends none", async () => {
    const { ids, path } = await hopsOf(by("spiffe://a"), { tokens }, now);
    assert.deepEqual(ids, ["spiffe://a", registryId]);
    assert.deepEqual(path, { index: 0, tokens: [jwt("spiffe://a"), jwt(registryId)] });
  });

  it("puts the caller's token where the path points, and its own behind it", async () => {
    const stale = by("spiffe://nsmgr", { path: { index: 1, tokens: [jwt("spiffe://a"), "old", "older", "oldest"] } });
    const { ids, path } = await hopsOf(stale, { tokens }, now);
    assert.deepEqual(ids, ["spiffe://a", "spiffe://nsmgr", registryId]);
    assert.deepEqual(path, { index: 1, tokens: [jwt("spiffe://a"), jwt("spiffe://nsmgr"), jwt(registryId)] });
  });

  it("ends with the first token to end", async () => {
    assert.equal((await hopsOf(by("spiffe://a", { caller: token("spiffe://a", 200_000) }), { tokens }, now)).expires, 200_000);
    assert.equal((await hopsOf(by("spiffe://a"), { tokens }, now)).expires, 600_000);
  });

  it("signs for the caller", async () => {
    let audience: string | undefined;
    await hopsOf(
      by("spiffe://a"),
      {
        tokens: async (asked) => {
          audience = asked;
          return tokens();
        },
      },
      now,
    );
    assert.equal(audience, "spiffe://a");
  });

  it("does without a caller, and with a token that nobody can read", async () => {
    const { ids } = await hopsOf({ signal: AbortSignal.timeout(1_000) }, { tokens }, now);
    assert.deepEqual(ids, ["", registryId]);
    const strange = { token: "not a token", expires: now + 1 };
    assert.deepEqual((await hopsOf(by("", { caller: strange }), { tokens }, now)).ids, ["", registryId]);
  });

  it("refuses a path whose index is outside of it", async () => {
    for (const path of [
      { index: 2, tokens: ["a", "b"] },
      { index: 1, tokens: [] },
      { index: -1, tokens: ["a"] },
      { index: 0.5, tokens: ["a"] },
    ])
      await refused("invalid", () => hopsOf(by("spiffe://a", { path }), { tokens }, now), /index .* outside/);
  });

  it("refuses a token that has ended, and says whose", async () => {
    const late = by("spiffe://a", { caller: token("spiffe://a", now - 3_000) });
    await refused("denied", () => hopsOf(late, { tokens }, now), /spiffe:\/\/a ended 3 s ago/);
  });
});

describe("who may change what", () => {
  const asking = (ids: readonly string[], more: { readonly peer?: string; readonly proven?: boolean } = {}) => ({
    ...{ ids, peer: ids.at(-2) ?? "", proven: true, ...more },
  });
  const stored = ["spiffe://client", "spiffe://nsmgr", registryId];
  const cases: readonly (readonly [string, readonly string[], boolean])[] = [
    ["the owner", ["spiffe://client", registryId], true],
    ["the owner through another hop", ["spiffe://client", "spiffe://other-nsmgr", registryId], true],
    ["a hop it came through, on its own behalf", ["spiffe://nsmgr", registryId], true],
    ["another client of that hop", ["spiffe://stranger", "spiffe://nsmgr", registryId], false],
    ["a stranger", ["spiffe://stranger", registryId], false],
    ["nobody", ["", registryId], false],
    ["the registry's own id, taken by another", [registryId, registryId], false],
  ];
  for (const [who, hops, may] of cases) it(`${may ? "lets" : "refuses"} ${who}`, () => assert.equal(mayChange(asking(hops), stored), may));

  it("takes the word of a hop for a client that cannot prove who it is, only where it came through that hop before", () => {
    const client = ["spiffe://client", "spiffe://nsmgr", registryId];
    assert.equal(mayChange(asking(client, { proven: false }), stored), true);
    assert.equal(mayChange(asking(client, { proven: false, peer: "spiffe://other-nsmgr" }), stored), false);
    assert.equal(mayChange(asking(["spiffe://stranger", "spiffe://nsmgr", registryId], { proven: false }), stored), false);
  });

  it("lets anybody have what nobody owns", () => {
    assert.equal(mayChange(asking(["spiffe://a", registryId]), []), true);
    assert.equal(mayChange(asking(["", registryId]), ["", registryId]), true);
  });

  it("reads the same from a context", async () => {
    const { ids } = await hopsOf(through("spiffe://client", "spiffe://nsmgr"), { tokens }, now);
    assert.deepEqual(ids, stored);
  });
});
