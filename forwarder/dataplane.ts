import { setImmediate } from "node:timers/promises";
import type { Clock } from "../core/clock.js";
import { asMeshError, MeshError } from "../core/error.js";
import type { Log } from "../core/log.js";
import { keyOf } from "../kernel/difference.js";
import type { Kernel, KernelObject, Netns, Step, StepFailure } from "../kernel/model.js";
import { Agenda, type Work } from "./agenda.js";
import { PassLog } from "./passLog.js";
import { byKey, plan } from "./plan.js";
import { Revisions } from "./revisions.js";
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

/** What a pass met: steps that the kernel refused, and units whose pod is gone. */
interface Outcome {
  readonly failures: readonly StepFailure[];
  readonly gone: ReadonlySet<string>;
}

/**
 * Makes the kernel have what is wanted: one pass at a time, over the devices that something happened to, and in rounds over all of
 * them; over everything in one go at the start and after lost events. What is wanted is somebody else's to keep on disk, before it is set here.
 */
export class Dataplane implements AsyncDisposable {
  readonly #parts: DataplaneParts;
  readonly #units = new Units();
  readonly #revisions = new Revisions();
  readonly #waiters = new Waiters();
  readonly #agenda: Agenda;
  readonly #passLog: PassLog;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #events: Promise<void> | undefined;

  constructor(parts: DataplaneParts) {
    this.#parts = parts;
    this.#passLog = new PassLog(parts.log);
    this.#agenda = new Agenda({
      clock: parts.clock,
      wake: () => this.#wake(),
      together: (device) => this.#units.together(device),
      allDevices: () => this.#units.allDevices(),
    });
  }

  /** Adopts what the kernel holds for what is wanted by now, removes the rest of ours, and goes on watching. */
  async start(): Promise<void> {
    this.#events = this.#listen();
    this.#agenda.all();
    await this.settled("");
    this.#agenda.startRounds();
  }

  /** Wants these objects, in place of what the unit wanted before. */
  set(unit: string, objects: readonly KernelObject[]): void {
    const before = [...this.#units.devices(unit)];
    this.#noteChange(this.#units.set(unit, objects), objects);
    this.#agenda.add([...before, ...this.#units.devices(unit)]);
  }

  /**
   * The same for a unit of devices on which many others have something: what differs is written, whatever the kernel has, so that nothing
   * of the others is looked at. Without objects nothing is wanted of it any more.
   */
  revise(unit: string, objects: readonly KernelObject[]): void {
    const before = objects.length === 0 ? this.#units.drop(unit) : this.#units.set(unit, objects);
    this.#agenda.revise(this.#revisions.change(before, objects));
  }

  /** Wants nothing of this unit any more. */
  drop(unit: string): void {
    const before = [...this.#units.devices(unit)];
    this.#noteChange(this.#units.drop(unit), []);
    this.#agenda.add(before);
  }

  /** Resolves after a pass that began after this call and included the unit; rejects with the errors of the unit's own objects. */
  settled(unit: string, signal?: AbortSignal): Promise<void> {
    const settled = this.#waiters.wait(unit, signal);
    this.#wake();
    return settled;
  }

  /** Stops looking. What is in the kernel stays. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#agenda[Symbol.dispose]();
    await this.#running;
    await this.#events;
    this.#waiters.end(new MeshError("cancelled", "the forwarder stops"));
  }

  /** Remembers what a look at the unit's devices would not show: what hangs on no device, and endpoints that were set anew. */
  #noteChange(old: readonly KernelObject[], now: readonly KernelObject[]): void {
    const wanted = byKey(now);
    for (const object of old) {
      const key = keyOf(object);
      const next = wanted.get(key);
      if (next === undefined && (object.kind === "vxlan-source" || object.kind === "rule")) this.#agenda.leave(object);
      if (next?.kind !== "wireguard-peer" || object.kind !== "wireguard-peer") continue;
      if (next.endpoint !== undefined && next.endpoint !== object.endpoint) this.#agenda.force(key);
    }
  }

  #wake(): void {
    if (this.#running !== undefined || this.#stop.signal.aborted) return;
    // A turn later, so that requests that come together share a pass.
    this.#running = setImmediate().then(() => this.#run());
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted && !(this.#agenda.isEmpty && this.#waiters.size === 0)) {
      const work = this.#agenda.take();
      const waiting = this.#waiters.take();
      try {
        if (work.survey) await this.#survey();
        const outcome = await this.#pass(work);
        for (const unit of waiting.units) waiting.settle(unit, this.#errorOf(unit, outcome));
      } catch (thrown) {
        const error = asMeshError(thrown, "kernel");
        this.#passLog.unreadable(error);
        waiting.fail(error);
        this.#agenda.failed(work.devices, true);
      }
      // A pass may end without having waited for anything; the rest of the process has its turn too.
      if (!this.#agenda.isEmpty) await setImmediate();
    }
    this.#running = undefined;
  }

  /** Twice at most: what could not be added for something that was deleted after it can be now. */
  async #pass(work: Work): Promise<Outcome> {
    for (let again = false; ; again = true) {
      const { steps, gone } = this.#withoutGone(await this.#look(work));
      const failures = steps.length === 0 ? [] : await this.#parts.kernel.apply(steps);
      if (steps.length > 0) this.#agenda.changed(touched(work));
      this.#passLog.done(steps, failures, () => this.#units.wanters(steps, work));
      if (failures.length > 0 && !again && steps.some((step) => step.op === "delete")) continue;
      if (failures.length > 0) this.#agenda.failed(touched(work), work.full);
      else this.#agenda.succeeded();
      for (const unit of gone) this.#parts.onPodGone(unit);
      return { failures, gone };
    }
  }

  /** Puts on the agenda what nobody wants, and what the filter lacks. */
  async #survey(): Promise<void> {
    const { devices, sources } = await this.#parts.kernel.overview();
    const known = new Set(this.#units.allDevices());
    const { missing, unwanted } = this.#units.compareSources(sources);
    for (const source of unwanted) this.#agenda.leave(source);
    this.#agenda.add([...devices.filter((device) => !known.has(device)), ...missing]);
  }

  async #look(work: Work): Promise<Step[]> {
    const { kernel } = this.#parts;
    if (work.full) {
      const wanted = this.#units.all();
      return plan(wanted, await kernel.list(wanted), work.forced);
    }
    const { written, left: unwanted } = this.#revisions.sorted(work.revised);
    const wanted = this.#units.wantedOn(work.devices);
    const found = await kernel.find([...work.devices], wanted);
    const owner = ownersAmong(found, wanted);
    const ours = found.filter((object) => work.devices.has(owner(object) ?? ""));
    return plan([...wanted, ...written], [...work.left, ...unwanted, ...ours], work.forced);
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

  async #listen(): Promise<void> {
    try {
      for await (const event of this.#parts.kernel.events(this.#stop.signal)) this.#agenda.heard(event);
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#parts.log.error("kernel events ended", { error: asMeshError(error, "kernel").message });
    }
  }
}

/** The devices that a pass looks at, and those of what it writes without a look. */
function touched({ devices, revised }: Work): Set<string> {
  const owner = ownersAmong();
  return new Set([...devices, ...[...revised.values()].flatMap((object) => owner(object) ?? [])]);
}
