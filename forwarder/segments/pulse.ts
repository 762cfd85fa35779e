import { background } from "../../core/background.js";
import type { Clock } from "../../core/clock.js";
import type { Log } from "../../core/log.js";

export interface PulseParts {
  /** Whether an echo comes back from a tunnel address in a moment. */
  readonly reaches: (tunnel: string, signal: AbortSignal) => Promise<boolean>;
  /** The nodes of all segments, by their tunnel addresses. */
  readonly nodes: () => Iterable<string>;
  /** A node stopped answering, or answers again. */
  readonly onChange: (tunnel: string, alive: boolean) => void;
  readonly clock: Clock;
  readonly log: Log;
}

const everyMs = 800;
/** So many echoes in a row must be missing. With the time that one may take a dead node is noticed within 3 s. */
const patience = 2;

/**
 * Whether the nodes that share segments with this one answer in the node tunnel: by their kernels, whatever their programs do. One echo
 * a node and turn, however many segments and members it has.
 */
export class Pulse implements Disposable {
  readonly #parts: PulseParts;
  readonly #missed = new Map<string, number>();
  readonly #stop = new AbortController();
  #timer: Disposable | undefined;

  constructor(parts: PulseParts) {
    this.#parts = parts;
    this.#arm();
  }

  /** Of a node that was never asked nothing bad is known. */
  answers(tunnel: string): boolean {
    return (this.#missed.get(tunnel) ?? 0) < patience;
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
    this.#timer?.[Symbol.dispose]();
  }

  #arm(): void {
    const { clock, log } = this.#parts;
    this.#timer = clock.after(everyMs, () => {
      background(
        log,
        "asking the nodes of segments",
        this.#round().finally(() => {
          if (!this.#stop.signal.aborted) this.#arm();
        }),
      );
    });
  }

  async #round(): Promise<void> {
    const nodes = new Set(this.#parts.nodes());
    for (const known of this.#missed.keys()) if (!nodes.has(known)) this.#missed.delete(known);
    await Promise.all([...nodes].map((tunnel) => this.#ask(tunnel)));
  }

  async #ask(tunnel: string): Promise<void> {
    const { reaches, onChange, log } = this.#parts;
    const answered = await reaches(tunnel, this.#stop.signal).catch(() => false);
    if (this.#stop.signal.aborted) return;
    const before = this.answers(tunnel);
    this.#missed.set(tunnel, answered ? 0 : (this.#missed.get(tunnel) ?? 0) + 1);
    const now = this.answers(tunnel);
    if (before === now) return;
    log.info(now ? "node answers again" : "node does not answer", { peer: tunnel });
    onChange(tunnel, now);
  }
}
