import type { Clock } from "../../../core/clock.js";
import type { Identity } from "../../../identity/identity.js";
import type { StateStore } from "../../../program/state.js";
import type { PeerSet } from "../../../rpc/peers.js";
import type { Services } from "../../../rpc/server.js";
import type { MeshWorld } from "../mesh.js";

/**
 * One run of a program: what it can do ends when it is killed. Its timers never fire again, its calls fail, what it writes is lost,
 * and its callers' calls break. So a killed program in this process is as dead as a killed process.
 */
export class Mortal {
  readonly clock: Clock;
  readonly peers: PeerSet;
  readonly #world: MeshWorld;
  readonly #identity: Identity | undefined;
  readonly #listening: Disposable[] = [];
  #dead = false;

  /** Without an identity it can only speak to sockets of isthmus.v1. */
  constructor(world: MeshWorld, identity?: Identity) {
    this.#world = world;
    this.#identity = identity;
    const { clock } = world;
    this.peers = world.network.peers({ identity, clock });
    this.clock = {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      after: (ms, task) => clock.after(ms, () => this.#dead || task()),
      sleep: async (ms, signal) => {
        await clock.sleep(ms, signal);
        if (this.#dead) await new Promise(() => {});
      },
    };
  }

  listen(urls: readonly string[], services: Services, hop: string): AsyncDisposable {
    const listening = urls.map((url) =>
      this.#world.network.listen(url, services, hop, services.node === undefined ? this.#identity : undefined),
    );
    this.#listening.push(...listening);
    return {
      [Symbol.asyncDispose]: async () => {
        for (const one of listening) one[Symbol.dispose]();
      },
    };
  }

  /** The store as long as this run lives. */
  store(disk: StateStore): StateStore {
    const alive = async (write: () => Promise<void>) => {
      if (!this.#dead) return await write();
      await new Promise(() => {});
    };
    return {
      get: (key) => disk.get(key),
      entries: (prefix) => disk.entries(prefix),
      put: (key, value) => alive(() => disk.put(key, value)),
      remove: (key) => alive(() => disk.remove(key)),
      [Symbol.asyncDispose]: async () => {},
    };
  }

  async kill(): Promise<void> {
    this.#dead = true;
    await this.peers[Symbol.asyncDispose]();
    for (const one of this.#listening) one[Symbol.dispose]();
  }
}
