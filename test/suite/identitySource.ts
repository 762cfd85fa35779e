import assert from "node:assert/strict";
import type { IdentitySource } from "../../identity/source.js";
import { verifyChain } from "../../identity/verify.js";

/** A source, and what stands behind it. */
export interface SourceWorld extends AsyncDisposable {
  readonly source: IdentitySource;
  readonly id: string;
  now(): number;
  /** Gives it a new SVID, as whoever signs for it would; returns at once. */
  rotate(): Promise<void>;
  /** Gives it something that is no identity, and resolves when the source has looked at it. */
  spoil(): Promise<void>;
}

/** Every source of identities behaves like this. */
export function identitySourceSuite(name: string, create: () => Promise<SourceWorld>): void {
  describe(`identity from ${name}`, () => {
    let world: SourceWorld;
    beforeEach(async () => {
      world = await create();
    });
    afterEach(() => world[Symbol.asyncDispose]());

    /** Fits: who trusts its bundles takes it for what it is. */
    const whole = () => {
      const { current, bundles } = world.source;
      assert.equal(verifyChain(current.chain, bundles, world.now()).id, world.id);
      assert.ok(current.chain[0]?.checkPrivateKey(current.privateKey));
    };
    const changed = () =>
      new Promise<void>((resolve) => {
        const listening = world.source.listen(() => {
          whole();
          listening[Symbol.dispose]();
          resolve();
        });
      });

    it("has an SVID from the start that its own bundle verifies", () => {
      whole();
      assert.equal(world.source.current.id.text, world.id);
    });

    it("tells of a new SVID, with another key, when it is whole", async () => {
      const before = world.source.current;
      const told = changed();
      await world.rotate();
      await told;
      const { current } = world.source;
      assert.notEqual(current.chain[0]?.fingerprint256, before.chain[0]?.fingerprint256);
      assert.ok(!current.chain[0]?.checkPrivateKey(before.privateKey));
    });

    it("does not tell who listens no more", async () => {
      let heard = 0;
      world.source.listen(() => heard++)[Symbol.dispose]();
      const told = changed();
      await world.rotate();
      await told;
      assert.equal(heard, 0);
    });

    it("keeps the last good one when it is given something that is none, and takes the next good one", async () => {
      const before = world.source.current;
      await world.spoil();
      assert.equal(world.source.current, before);
      const told = changed();
      await world.rotate();
      await told;
      whole();
    });
  });
}
