import { additions, commandsOf } from "./commands.js";
import { keyOf } from "./difference.js";
import { FakeMachine } from "./fake/machine.js";
import type { Counters, Kernel, KernelEvent, KernelObject, Overview, Port, Step, StepFailure } from "./model.js";
import { samePort } from "./policyTable.js";
import { EventQueue } from "./queue.js";

const none: Counters = { rxBytes: 0, txBytes: 0, rxPackets: 0, txPackets: 0, drops: 0 };

/** A kernel in memory that follows the real one's rules; one suite runs on both. It shows itself as commands. */
export class FakeKernel implements Kernel {
  readonly machine: FakeMachine;
  /** The steps that were done, as commands. */
  readonly commands: string[] = [];
  readonly #refusals = new Map<string, Error>();
  readonly #counters = new Map<string, Counters>();

  /** A machine given again is the same machine after a restart of the process. */
  constructor(machine: FakeMachine = new FakeMachine()) {
    this.machine = machine;
  }

  /** The next step on `key` is refused with the error. */
  refuse(key: string, error: Error): void {
    this.#refusals.set(key, error);
  }

  /** What `counters` says of a device. */
  count(device: string, counters: Partial<Counters>): void {
    this.#counters.set(device, { ...none, ...counters });
  }

  /** All there is, as the commands that would make it, sorted. */
  text(): string {
    return this.machine.objects().flatMap(additions).sort().join("\n");
  }

  async list(wanted: readonly KernelObject[]): Promise<KernelObject[]> {
    const ports = new Set(wanted.flatMap((object) => (object.kind === "port" ? [object.name] : [])));
    return this.#visible(ports, wanted);
  }

  async find(devices: readonly string[], wanted: readonly KernelObject[]): Promise<KernelObject[]> {
    const keys = new Set(wanted.map(keyOf));
    const ports = new Set(wanted.flatMap((object) => (object.kind === "port" && devices.includes(object.name) ? [object.name] : [])));
    return this.#visible(ports, wanted).filter((object) => {
      if (object.kind === "vxlan-source") return keys.has(keyOf(object));
      return "name" in object ? devices.includes(object.name) : devices.some((device) => this.machine.hangsOn(object, device));
    });
  }

  async overview(): Promise<Overview> {
    const objects = this.machine.objects();
    return {
      devices: objects.flatMap((object) => ("name" in object ? [object.name] : [])),
      sources: objects.filter((object) => object.kind === "vxlan-source"),
    };
  }

  async apply(steps: readonly Step[]): Promise<StepFailure[]> {
    const failures: StepFailure[] = [];
    for (const step of steps) {
      try {
        this.#do(step);
      } catch (error) {
        failures.push({ step, error: error as Error });
      }
    }
    return failures;
  }

  async learned(ports: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>> {
    const there = ports.filter((port) => this.machine.indexOf(port) !== undefined);
    return new Map(there.map((port) => [port, this.machine.learnedAt(port)]));
  }

  async *events(signal: AbortSignal): AsyncIterable<KernelEvent> {
    const queue = new EventQueue();
    using _ = this.machine.hear((event) => queue.push(event));
    yield* queue.take(signal);
  }

  async counters(devices: readonly string[]): Promise<ReadonlyMap<string, Counters>> {
    const there = devices.filter((device) => this.machine.indexOf(device) !== undefined);
    return new Map(there.map((device) => [device, this.#counters.get(device) ?? none]));
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #do(step: Step): void {
    const refusal = this.#refusals.get(step.key);
    this.#refusals.delete(step.key);
    if (refusal !== undefined) throw refusal;
    if (step.op === "delete") this.machine.remove(step.old);
    else this.machine.settle(step.value);
    this.commands.push(...commandsOf(step));
  }

  /** Pods' ends are seen only where somebody wants their port, and a port's rules only where somebody wants one. */
  #visible(ports: ReadonlySet<string>, wanted: readonly KernelObject[]): KernelObject[] {
    const rules = wanted.filter((object) => object.kind === "rule");
    const objects = this.machine.objects().filter((object) => {
      if (object.kind !== "rule") return true;
      return this.machine.port(object.where, object.device) !== undefined && rules.some(({ table }) => samePort(table, object.table));
    });
    const hidden = objects.filter((object): object is Port => object.kind === "port" && !ports.has(object.name));
    return objects
      .filter((object) => !("where" in object && object.where !== "mesh" && hidden.some(({ name }) => this.machine.hangsOn(object, name))))
      .map((object) => (object.kind === "port" && !ports.has(object.name) ? unread(object) : object));
  }
}

function unread(port: Port): Port {
  const { kind, name, alias, mtu } = port;
  return { kind, name, alias, mtu, pod: { path: "", cookie: "" }, podInterface: "", podMac: "" };
}
