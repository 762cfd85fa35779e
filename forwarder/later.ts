import type { Clock } from "../core/clock.js";

/** Devices that can wait a moment together; the first to come sets the time. */
export class Later implements Disposable {
  readonly #clock: Clock;
  readonly #due: (devices: ReadonlySet<string>, full: boolean) => void;
  #devices = new Set<string>();
  #full = false;
  #timer: Disposable | undefined;

  constructor(clock: Clock, due: (devices: ReadonlySet<string>, full: boolean) => void) {
    this.#clock = clock;
    this.#due = due;
  }

  add(ms: number, devices: Iterable<string>, full = false): void {
    for (const device of devices) this.#devices.add(device);
    this.#full ||= full;
    if (this.#devices.size === 0 && !this.#full) return;
    this.#timer ??= this.#clock.after(ms, () => this.#fire());
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
  }

  #fire(): void {
    const [devices, full] = [this.#devices, this.#full];
    this.#timer = undefined;
    this.#devices = new Set();
    this.#full = false;
    this.#due(devices, full);
  }
}
