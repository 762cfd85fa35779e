import type { Clock } from "../core/clock.js";
import type { KernelEvent, KernelObject } from "../kernel/model.js";
import { Later } from "./later.js";
import { Rounds } from "./rounds.js";

/** What one pass is about. */
export interface Work {
  /** Everything that is ours; else only the devices. */
  readonly full: boolean;
  /** A glance at the mesh namespace first, for what a look at the wanted devices does not show. */
  readonly survey: boolean;
  readonly devices: ReadonlySet<string>;
  /** Keys of what is to be written even if it looks right. */
  readonly forced: ReadonlySet<string>;
  /** Wanted before, and not bound to a device that could be asked for. */
  readonly left: readonly KernelObject[];
  /** By key: to be written or deleted without a look at the device. */
  readonly revised: ReadonlyMap<string, KernelObject>;
}

/** What the agenda asks of the data plane. */
export interface AgendaParts {
  readonly clock: Clock;
  readonly wake: () => void;
  /** A device of ours, and those it is joined to; none for a device that nobody wants. */
  readonly together: (device: string) => Iterable<string>;
  readonly allDevices: () => readonly string[];
}

/** Each so many rounds everything that is ours is listed in one go: what somebody hung on devices of ours shows up nowhere else. */
const roundsPerFullPass = 15;
/** Devices that are looked at, when there is time, between two chances for something urgent. */
const sweepSize = 16;
const quietMs = 100;
/** So long after a change of ours, what is heard of a device is most likely that change. It is looked at without haste. */
const echoMs = 300;
const verifyMs = 1000;
const retryMs = 1000;
const longestRetryMs = 10_000;

/** What is to be looked at next, and when. */
export class Agenda implements Disposable {
  readonly #parts: AgendaParts;
  readonly #quick: Later;
  readonly #verify: Later;
  readonly #retry: Later;
  readonly #rounds: Rounds;
  /** When we changed a device last. */
  readonly #changed = new Map<string, number>();
  #devices = new Set<string>();
  #forced = new Set<string>();
  #left: KernelObject[] = [];
  #revised = new Map<string, KernelObject>();
  #full = false;
  #survey = false;
  /** For when there is nothing else to do. */
  #sweep: string[] = [];
  #setbacks = 0;

  constructor(parts: AgendaParts) {
    this.#parts = parts;
    const now = (devices: Iterable<string>, full: boolean) => {
      this.add(devices);
      if (full) this.all();
    };
    this.#quick = new Later(parts.clock, now);
    this.#retry = new Later(parts.clock, now);
    this.#verify = new Later(parts.clock, (devices) => this.#putOff(devices));
    this.#rounds = new Rounds({
      clock: parts.clock,
      devices: parts.allDevices,
      begin: (round) => (round % roundsPerFullPass === 0 ? this.all() : this.#lookRound()),
      look: (devices) => this.add(devices),
    });
  }

  get isEmpty(): boolean {
    const waiting = this.#devices.size + this.#left.length + this.#revised.size + this.#sweep.length;
    return !this.#full && !this.#survey && waiting === 0;
  }

  add(devices: Iterable<string>): void {
    for (const device of devices) this.#devices.add(device);
    this.#parts.wake();
  }

  all(): void {
    this.#full = true;
    this.#parts.wake();
  }

  force(key: string): void {
    this.#forced.add(key);
  }

  leave(object: KernelObject): void {
    this.#left.push(object);
  }

  revise(objects: ReadonlyMap<string, KernelObject>): void {
    for (const [key, object] of objects) this.#revised.set(key, object);
    this.#parts.wake();
  }

  /** The most urgent work, which is off the agenda with that. */
  take(): Work {
    if (!this.#full && this.#devices.size + this.#revised.size === 0) this.#devices = new Set(this.#sweep.splice(0, sweepSize));
    const work = {
      ...{ full: this.#full, survey: this.#survey, devices: this.#devices },
      ...{ forced: this.#forced, left: this.#left, revised: this.#revised },
    };
    this.#full = false;
    this.#survey = false;
    this.#devices = new Set();
    this.#forced = new Set();
    this.#left = [];
    this.#revised = new Map();
    return work;
  }

  /** Something happened in the kernel. What a bridge learns is not wanted of anybody. */
  heard(event: KernelEvent): void {
    if (event.kind === "learned") return;
    if (event.kind === "resync") this.#quick.add(quietMs, [], true);
    else if (event.kind === "changed" && this.#isEcho(event.device)) this.#verify.add(verifyMs, this.#parts.together(event.device));
    else this.#quick.add(quietMs, this.#parts.together(event.device));
  }

  /** We changed something there. */
  changed(devices: Iterable<string>): void {
    const now = this.#parts.clock.monotonic();
    for (const device of devices) this.#changed.set(device, now);
  }

  /** Not all could be done: again, at intervals that grow until something can. */
  failed(devices: Iterable<string>, full: boolean): void {
    this.#retry.add(Math.min(retryMs * 2 ** this.#setbacks++, longestRetryMs), devices, full);
  }

  succeeded(): void {
    this.#setbacks = 0;
  }

  /** From now on everything is looked at, all of it once in a round. */
  startRounds(): void {
    this.#rounds.start();
  }

  [Symbol.dispose](): void {
    for (const timer of [this.#quick, this.#verify, this.#retry, this.#rounds]) timer[Symbol.dispose]();
  }

  #isEcho(device: string): boolean {
    const at = this.#changed.get(device);
    return at !== undefined && this.#parts.clock.monotonic() - at < echoMs;
  }

  #lookRound(): void {
    this.#survey = true;
    this.#parts.wake();
  }

  /** A pod may have answered our change with one of its own, so what we heard is looked at all the same, when there is time. */
  #putOff(devices: Iterable<string>): void {
    this.#sweep = [...new Set([...this.#sweep, ...devices])];
    for (const device of this.#changed.keys()) if (!this.#isEcho(device)) this.#changed.delete(device);
    this.#parts.wake();
  }
}
