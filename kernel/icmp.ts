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

// When to look, after the first request: soon where the peer is near, never later than this.
const firstLookMs = 1;
const longestLookMs = 50;

/**
 * Whether one of `count` echo requests is answered in time; true at the first answer. Nothing blocks meanwhile, and the socket in
 * the namespace is closed at the end. Rejects with the signal's reason (within 50 ms), with MeshError netns-gone where the namespace
 * is no more, and with MeshError kernel where the source address or the device is not there.
 */
export async function ping(where: string | Netns, options: PingOptions): Promise<boolean> {
  const { clock, count, timeoutMs, signal } = options;
  signal.throwIfAborted();
  using socket = new EchoSocket(where, options);
  const start = clock.monotonic();
  const spacing = timeoutMs / count;
  let sent = 0;
  for (let wait = firstLookMs, passed = 0; passed < timeoutMs; passed = clock.monotonic() - start) {
    if (sent < count && passed >= sent * spacing) socket.send(sent++);
    // It looks on ticks: thousands of sockets that each woke all of the others would cost far more.
    await tick(clock, Math.min(wait, timeoutMs - passed, spacing * sent - passed));
    signal.throwIfAborted();
    if (socket.take().length > 0) return true;
    wait = Math.min(wait * 2, longestLookMs);
  }
  return false;
}

function tick(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => clock.after(Math.max(firstLookMs, ms), resolve));
}
