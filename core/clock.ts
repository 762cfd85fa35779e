/** Time, handed in so that a test can hold it. Milliseconds everywhere. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Milliseconds from an arbitrary start that never jump; for durations. */
  monotonic(): number;
  /** Calls `task` once after `ms`; dispose to forget it. A timer does not keep the process alive. */
  after(ms: number, task: () => void): Disposable;
  /** Resolves after `ms`, rejects with the signal's reason when that comes first. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}
