import type { Clock } from "./clock.js";

/** How long a close or an undo may take that nobody waits for any more. */
const patience = 10_000;

/**
 * A signal for work that must go on when the caller has gone: undoing and closing. It ends by itself.
 * The platform's timer and no `Clock`: it is a last resort against a peer that hangs, not something that a program waits for.
 */
export function afresh(ms: number = patience): AbortSignal {
  return AbortSignal.timeout(ms);
}

/** A signal that ends with `parent`, or after `ms`; dispose it when the work is done. */
export function deadline(clock: Clock, ms: number, parent: AbortSignal): { readonly signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  const end = () => controller.abort(parent.reason);
  if (parent.aborted) end();
  else parent.addEventListener("abort", end, { once: true });
  const timer = clock.after(ms, () => controller.abort(new DOMException(`nothing came in ${ms} ms`, "TimeoutError")));
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      timer[Symbol.dispose]();
      parent.removeEventListener("abort", end);
    },
  };
}
