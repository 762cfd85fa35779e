import type { Clock } from "../core/clock.js";
import { asMeshError, MeshError } from "../core/error.js";
import type { Log } from "../core/log.js";
import { difference, keyOf } from "../kernel/difference.js";
import type { Kernel, KernelEvent, KernelObject, Netns, Step, StepFailure } from "../kernel/model.js";
import { byKey, plan } from "./plan.js";
import { ownersAmong, Units } from "./units.js";
import { Waiters } from "./waiters.js";

export interface DataplaneParts {
  readonly kernel: Kernel;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether a pod's namespace is still the same one. */
  readonly exists: (pod: Netns) => boolean;
  /** A unit's pod is gone: whoever wants the unit lets go of it. */
  readonly onPodGone: (unit: string) => void;
}

const slowTickMs = 10_000;
/** Each so many slow ticks everything that is ours is listed: what nobody wants shows up nowhere else. */
const ticksPerFullPass = 6;
/** Devices that are looked at between two chances for something urgent. */
const sweepSize = 16;
/** So long after a change of ours, what is heard of a device is most likely that change. It is looked at without haste. */
const echoMs = 300;
const quietMs = 100;
const retryMs = 1000;

/** What the next pass is about. */
interface Work {
  readonly full: boolean;
  readonly devices: ReadonlySet<string>;
  readonly forced: ReadonlySet<string>;
  /** Wanted before, and not bound to a device that could be asked for. */
  readonly left: readonly KernelObject[];
}

/** What a pass met: steps that the kernel refused, and units whose pod is gone. */
interface Outcome {
  readonly failures: readonly StepFailure[];
  readonly gone: ReadonlySet<string>;
}

/**
 * Makes the kernel have what is wanted: one pass at a time, over the devices that something happened to; over everything at the start,
 * after lost events and on a slow tick. What is wanted is somebody else's to keep on disk, before it is set here.
 */
export class Dataplane implements AsyncDisposable {
  readonly #parts: DataplaneParts;
  readonly #units = new Units();
  readonly #waiters = new Waiters();
  readonly #stop = new AbortController();
  #devices = new Set<string>();
  #forced = new Set<string>();
  #left: KernelObject[] = [];
  #full = false;
  /** Devices that the slow tick wants looked at, when there is nothing else to do. */
  #sweep: string[] = [];
  #ticks = 0;
  #pending: { devices: Set<string>; full: boolean } = { devices: new Set(), full: false };
  #running: Promise<void> | undefined;
  #tick: Disposable | undefined;
  #later: Disposable | undefined;
  /** When we changed a device last, and those of which something was heard right after. */
  readonly #changed = new Map<string, number>();
  readonly #echoed = new Set<string>();
  #verify: Disposable | undefined;
  #events: Promise<void> | undefined;

  constructor(parts: DataplaneParts) {
    this.#parts = parts;
  }

  /** Adopts what the kernel holds for what is wanted by now, removes the rest of ours, and goes on watching. */
  async start(): Promise<void> {
    this.#events = this.#listen();
    await this.resync();
    this.#armTick();
  }

  /** Wants these objects, in place of what the unit wanted before. */
  set(unit: string, objects: readonly KernelObject[]): void {
    for (const device of this.#units.devices(unit)) this.#devices.add(device);
    this.#noteChange(this.#units.set(unit, objects), objects);
    for (const device of this.#units.devices(unit)) this.#devices.add(device);
    this.#wake();
  }

  /** Wants nothing of this unit any more. */
  drop(unit: string): void {
    for (const device of this.#units.devices(unit)) this.#devices.add(device);
    this.#noteChange(this.#units.drop(unit), []);
    this.#wake();
  }

  has(unit: string): boolean {
    return this.#units.has(unit);
  }

  /** Resolves after a pass that began after this call and included the unit; rejects with the errors of the unit's own objects. */
  settled(unit: string, signal?: AbortSignal): Promise<void> {
    const settled = this.#waiters.wait(unit, signal);
    this.#wake();
    return settled;
  }

  /** A pass over everything that is ours. */
  async resync(): Promise<void> {
    this.#full = true;
    await this.settled("");
  }

  /** Stops looking. What is in the kernel stays. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#tick?.[Symbol.dispose]();
    this.#later?.[Symbol.dispose]();
    this.#verify?.[Symbol.dispose]();
    await this.#running;
    await this.#events;
    this.#waiters.end(new MeshError("cancelled", "the forwarder stops"));
  }

  /** Remembers what a look at the unit's devices would not show: entries of the filter, and endpoints that were set anew. */
  #noteChange(old: readonly KernelObject[], now: readonly KernelObject[]): void {
    const wanted = byKey(now);
    for (const object of old) {
      const key = keyOf(object);
      const next = wanted.get(key);
      if (next === undefined && object.kind === "vxlan-source") this.#left.push(object);
      if (next?.kind !== "wireguard-peer" || object.kind !== "wireguard-peer") continue;
      if (next.endpoint !== undefined && next.endpoint !== object.endpoint) this.#forced.add(key);
    }
  }

  #wake(): void {
    if (this.#running !== undefined || this.#stop.signal.aborted) return;
    // A turn later, so that requests that come together share a pass.
    this.#running = new Promise((resolve) => setImmediate(resolve)).then(() => this.#run());
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted && this.#hasWork()) {
      const work = this.#take();
      const waiting = this.#waiters.take();
      try {
        const outcome = await this.#pass(work);
        for (const unit of waiting.units) waiting.settle(unit, this.#errorOf(unit, outcome));
      } catch (error) {
        this.#parts.log.error("kernel not readable", { error: asMeshError(error, "kernel").message });
        waiting.fail(asMeshError(error, "kernel"));
        this.#soon(retryMs, work.devices, true);
      }
    }
    this.#running = undefined;
  }

  #hasWork(): boolean {
    return this.#full || this.#devices.size > 0 || this.#left.length > 0 || this.#waiters.size > 0 || this.#sweep.length > 0;
  }

  #take(): Work {
    if (!this.#full && this.#devices.size === 0) this.#devices = new Set(this.#sweep.splice(0, sweepSize));
    const work = { full: this.#full, devices: this.#devices, forced: this.#forced, left: this.#left };
    this.#full = false;
    this.#devices = new Set();
    this.#forced = new Set();
    this.#left = [];
    return work;
  }

  /** Twice at most: what could not be added for something that was deleted after it can be now. */
  async #pass(work: Work): Promise<Outcome> {
    for (let again = false; ; again = true) {
      const { steps, gone } = this.#withoutGone(await this.#look(work));
      const failures = steps.length === 0 ? [] : await this.#parts.kernel.apply(steps);
      if (steps.length > 0) this.#noteEcho(work.devices);
      this.#report(steps, failures);
      const settled = failures.length === 0;
      if (!settled && !again && steps.some((step) => step.op === "delete")) continue;
      if (!settled) this.#soon(retryMs, work.devices, work.full);
      for (const unit of gone) this.#parts.onPodGone(unit);
      return { failures, gone };
    }
  }

  async #look(work: Work): Promise<Step[]> {
    const { kernel } = this.#parts;
    if (work.full) {
      const wanted = this.#units.all();
      return plan(wanted, [...(await kernel.list(wanted))], work.forced);
    }
    const wanted = this.#units.wantedOn(work.devices);
    const found = [...work.left, ...(await kernel.find([...work.devices], wanted))];
    const owner = ownersAmong(found, wanted);
    const ours = found.filter((object) => work.left.includes(object) || work.devices.has(owner(object) ?? ""));
    return plan(wanted, ours, work.forced);
  }

  /** A port whose pod is gone is not made again; its unit ends. */
  #withoutGone(steps: readonly Step[]): { steps: readonly Step[]; gone: ReadonlySet<string> } {
    const gone = new Set<string>();
    for (const step of steps) {
      if (step.op === "delete" || step.value.kind !== "port" || this.#parts.exists(step.value.pod)) continue;
      for (const unit of this.#units.users(step.value.name)) gone.add(unit);
    }
    if (gone.size === 0) return { steps, gone };
    const keys = new Set([...gone].flatMap((unit) => [...this.#units.keys(unit)]));
    return { steps: steps.filter((step) => !keys.has(step.key)), gone };
  }

  #errorOf(unit: string, { failures, gone }: Outcome): Error | undefined {
    if (gone.has(unit)) return new MeshError("netns-gone", "the pod's network namespace is gone; its connection ends with it");
    if (failures.length === 0) return undefined;
    const keys = this.#units.keys(unit);
    const own = failures.filter((failure) => keys.has(failure.step.key)).map((failure) => failure.error);
    if (own.length === 0) return undefined;
    const first = asMeshError(own[0], "kernel");
    return own.length === 1 ? first : new MeshError(first.code, first.message, { cause: new AggregateError(own) });
  }

  #report(steps: readonly Step[], failures: readonly StepFailure[]): void {
    for (const step of steps) {
      if (step.op === "replace")
        this.#parts.log.debug("kernel differs", { object: label(step), difference: difference(step.value, step.old) });
      else this.#parts.log.debug(step.op === "add" ? "kernel lacks" : "kernel has too much", { object: label(step) });
    }
    for (const { step, error } of failures)
      this.#parts.log.warn("kernel refused", { op: step.op, object: label(step), error: error.message });
  }

  /** Another pass over these in a moment; one timer for all, the first sets the time. */
  #soon(ms: number, devices: Iterable<string>, full: boolean): void {
    for (const device of devices) this.#pending.devices.add(device);
    this.#pending.full ||= full;
    if (this.#pending.devices.size === 0 && !this.#pending.full) return;
    if (this.#stop.signal.aborted) return;
    this.#later ??= this.#parts.clock.after(ms, () => {
      this.#later = undefined;
      for (const device of this.#pending.devices) this.#devices.add(device);
      this.#full ||= this.#pending.full;
      this.#pending = { devices: new Set(), full: false };
      this.#wake();
    });
  }

  async #listen(): Promise<void> {
    try {
      for await (const event of this.#parts.kernel.events(this.#stop.signal)) this.#heard(event);
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#parts.log.error("kernel events ended", { error: asMeshError(error, "kernel").message });
    }
  }

  #heard(event: KernelEvent): void {
    if (event.kind === "resync") this.#soon(quietMs, [], true);
    else if (event.kind === "changed" && this.#isEcho(event.device)) this.#verifyLater(this.#units.together(event.device));
    else this.#soon(quietMs, this.#units.together(event.device), false);
  }

  #noteEcho(devices: Iterable<string>): void {
    const now = this.#parts.clock.monotonic();
    for (const device of devices) this.#changed.set(device, now);
  }

  #isEcho(device: string): boolean {
    const at = this.#changed.get(device);
    return at !== undefined && this.#parts.clock.monotonic() - at < echoMs;
  }

  /** A pod may have answered our change with one of its own, so it is looked at all the same, when there is time. */
  #verifyLater(devices: Iterable<string>): void {
    for (const device of devices) this.#echoed.add(device);
    if (this.#stop.signal.aborted) return;
    this.#verify ??= this.#parts.clock.after(retryMs, () => {
      this.#verify = undefined;
      this.#sweep.push(...this.#echoed);
      this.#echoed.clear();
      for (const device of this.#changed.keys()) if (!this.#isEcho(device)) this.#changed.delete(device);
      this.#wake();
    });
  }

  #armTick(): void {
    this.#tick = this.#parts.clock.after(slowTickMs, () => {
      this.#ticks++;
      if (this.#ticks % ticksPerFullPass === 0) this.#full = true;
      else this.#sweep = [...this.#units.allDevices()];
      this.#wake();
      this.#armTick();
    });
  }
}

/** A step's object for the log: what a key of WireGuard would show is left out. */
function label(step: Step): string {
  const object = step.op === "delete" ? step.old : step.value;
  return object.kind === "wireguard-peer" ? `wireguard-peer ${object.device} ${object.allowedIps.join(" ")}` : step.key;
}
