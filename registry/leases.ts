import type { Clock } from "../core/clock.js";
import { MeshError } from "../core/error.js";
import { Deadlines } from "./deadlines.js";
import type { StoredLease } from "./engine.js";
import type { LeaseId } from "./store.js";

interface Running {
  readonly ttlMs: number;
  /** Milliseconds since 1970: for people, peers and the disk. */
  readonly expires: number;
  /** The same moment on the clock that never jumps: what counts. */
  readonly ends: number;
}

/** The leases that run in this process, and when they end. */
export class Leases implements Disposable {
  readonly #clock: Clock;
  readonly #running = new Map<LeaseId, Running>();
  readonly #deadlines: Deadlines;

  constructor(parts: { readonly clock: Clock; readonly resolutionMs: number; readonly due: (ids: readonly LeaseId[]) => void }) {
    this.#clock = parts.clock;
    this.#deadlines = new Deadlines(parts);
  }

  start(id: LeaseId, ttlMs: number): void {
    this.#run(id, ttlMs, ttlMs);
  }

  /** Goes on with a lease of an earlier process: not before the grace is over, and not for longer than its own time. */
  resume(id: LeaseId, { ttlMs, expires }: StoredLease, graceMs: number): void {
    const left = Math.max(expires - this.#clock.now(), graceMs);
    this.#run(id, ttlMs, Math.min(left, ttlMs));
  }

  renew(id: LeaseId): StoredLease {
    this.start(id, this.get(id).ttlMs);
    return this.get(id);
  }

  /** Throws "not-found" when the lease has ended. */
  get(id: LeaseId): StoredLease {
    const lease = this.find(id);
    if (lease === undefined) throw new MeshError("not-found", `the lease ${id} has ended; grant a new one and write again`);
    return lease;
  }

  find(id: LeaseId): StoredLease | undefined {
    const lease = this.#running.get(id);
    return lease && { ttlMs: lease.ttlMs, expires: lease.expires };
  }

  isDue(id: LeaseId): boolean {
    const lease = this.#running.get(id);
    return lease !== undefined && lease.ends <= this.#clock.monotonic();
  }

  drop(id: LeaseId): void {
    this.#running.delete(id);
    this.#deadlines.delete(id);
  }

  [Symbol.dispose](): void {
    this.#deadlines[Symbol.dispose]();
    this.#running.clear();
  }

  #run(id: LeaseId, ttlMs: number, left: number): void {
    this.#running.set(id, { ttlMs, expires: this.#clock.now() + left, ends: this.#clock.monotonic() + left });
    this.#deadlines.set(id, left);
  }
}
