import type { Clock } from "../core/clock.js";
import { type EchoEnds, EchoSocket } from "./echo.js";
import type { Netns } from "./model.js";

/** How often to ask, and how long to wait. */
export interface PingOptions extends EchoEnds {
  readonly clock: Clock;
  /** Until when, from the first request. The requests are spread evenly over it. */
  readonly timeoutMs: number;
  readonly count: number;
  readonly signal: AbortSignal;
}

/**
 * Whether one of `count` echo requests is answered in time; true at the first answer. Nothing blocks meanwhile, and the socket in
 * the namespace is closed at the end. Rejects with the signal's reason, with MeshError netns-gone where the namespace is no more,
 * and with MeshError kernel where the source address or the device is not there.
 */
export async function ping(where: string | Netns, options: PingOptions): Promise<boolean> {
  const { clock, count, timeoutMs, signal } = options;
  signal.throwIfAborted();
  using socket = new EchoSocket(where, options);
  return await new Promise<boolean>((resolve, reject) => {
    const timers = Array.from({ length: count }, (_, n) =>
      clock.after(
        (n * timeoutMs) / count,
        guarded(() => socket.send(n)),
      ),
    );
    timers.push(clock.after(timeoutMs, () => finish(() => resolve(false))));
    const aborted = (): void => finish(() => reject(signal.reason));
    signal.addEventListener("abort", aborted, { once: true });
    socket.listen(() => finish(() => resolve(true)));

    function finish(settle: () => void): void {
      for (const timer of timers) timer[Symbol.dispose]();
      signal.removeEventListener("abort", aborted);
      settle();
    }
    function guarded(task: () => void): () => void {
      return () => {
        try {
          task();
        } catch (error) {
          finish(() => reject(error));
        }
      };
    }
  });
}
