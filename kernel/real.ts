import fs from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import type { Clock } from "../core/clock.js";
import type { Log } from "../core/log.js";
import type {
  Counters,
  Guard,
  Kernel,
  KernelEvent,
  KernelObject,
  Overview,
  SegmentLayer,
  Step,
  StepFailure,
  VxlanSource,
} from "./model.js";
import { dumpLearned } from "./netlink/fdb.js";
import { dumpLinks, getLinks } from "./netlink/link.js";
import { ownNetns } from "./netns.js";
import type { VxlanFilter, WireguardDevices } from "./parts.js";
import { applyStep, doneBy } from "./real/apply.js";
import { CounterReader } from "./real/counters.js";
import { wantedPorts } from "./real/device.js";
import { Events } from "./real/events.js";
import { closeHome, type Home, openHome } from "./real/home.js";
import { loopback } from "./real/loopback.js";
import { aliasPrefix, isOurs } from "./real/owner.js";
import { removeDevices } from "./real/remove.js";
import { Session } from "./real/session.js";
import { findDevice, portions, readDevices, readMesh } from "./real/survey.js";
import { openSegmentRules, type Refused, type SegmentRules } from "./segmentRules.js";
import { chooseRedirects, type RedirectMode } from "./tc.js";
import { noWireguard } from "./wireguard/none.js";

/** What a kernel is opened with. */
export interface KernelParts {
  /** The name of the mesh namespace, or of a segment's, made where it is absent. */
  readonly mesh: string;
  /** Whether it is a segment's, and of which kind. */
  readonly segment?: SegmentLayer;
  /** The path of the node's namespace, of the mesh namespace for a segment; this process's own unless told. */
  readonly node?: string;
  readonly clock: Clock;
  readonly log: Log;
  /** None unless told. */
  readonly wireguard?: WireguardDevices;
  readonly filter: VxlanFilter;
  /** How packets are passed on; "auto", the default, takes eBPF where it can. */
  readonly redirects?: RedirectMode | "auto";
}

/** The Linux kernel of this node. It leaves all as it is when it is disposed of. */
export async function openKernel(parts: KernelParts): Promise<Kernel> {
  await fs.stat("/"); // starts the thread pool, whose threads stay for ever in the namespace in which they were started
  const home = openHome(parts.mesh, parts.node ?? ownNetns, parts.segment);
  try {
    const mode = chooseRedirects(parts.redirects ?? "auto");
    parts.log.info("kernel opened", { mesh: home.mesh.path, redirects: mode });
    return new RealKernel(parts, home, mode);
  } catch (error) {
    closeHome(home);
    throw error;
  }
}

class RealKernel implements Kernel {
  readonly #parts: KernelParts;
  readonly #home: Home;
  readonly #mode: RedirectMode;
  readonly #wireguard: WireguardDevices;
  readonly #rules: SegmentRules | undefined;
  readonly #events: Events;
  readonly #counters: CounterReader;
  #closed = false;

  constructor(parts: KernelParts, home: Home, mode: RedirectMode) {
    this.#parts = parts;
    this.#home = home;
    this.#mode = mode;
    this.#wireguard = parts.wireguard ?? noWireguard;
    this.#rules = home.segment && openSegmentRules(home.mesh, home.segment);
    this.#events = new Events(home, parts.clock);
    this.#counters = new CounterReader(home.meshSocket);
  }

  async list(wanted: readonly KernelObject[]): Promise<KernelObject[]> {
    this.#mend();
    const wireguard = await this.#wireguard.list(aliasPrefix);
    const tunnels = new Set(wireguard.flatMap((object) => (object.kind === "wireguard" ? [object.name] : [])));
    const { links, names, objects } = this.#work((session) => readMesh(session, tunnels, wanted));
    const found: KernelObject[] = [...wireguard, ...this.#parts.filter.list(), ...(this.#rules?.guards?.list() ?? []), ...objects];
    found.push(...(this.#rules?.policies.list(wanted) ?? []));
    const ports = wantedPorts(wanted);
    for (const portion of portions(links, ports)) {
      found.push(...this.#work((session) => readDevices(session, portion, ports, names)));
      await setImmediate();
    }
    return this.#judged(found);
  }

  async find(devices: readonly string[], wanted: readonly KernelObject[]): Promise<KernelObject[]> {
    const links = getLinks(this.#home.meshSocket, devices);
    const others = links.filter(({ kind }) => kind !== "veth" && kind !== "vxlan");
    const found: KernelObject[] = await this.#wireguard.find(others.map(({ name }) => name));
    found.push(...this.#work((session) => links.flatMap((link) => findDevice(session, link, wanted))));
    if (devices.includes(loopback.name)) found.push(...(this.#rules?.policies.list(wanted) ?? []));
    return [...this.#judged(found), ...this.#guards(devices, wanted), ...this.#sources(wanted)];
  }

  async overview(): Promise<Overview> {
    this.#mend();
    const devices = dumpLinks(this.#home.meshSocket).filter(isOurs);
    await setImmediate(); // with 1000 connections either half takes 25 ms
    return { devices: devices.map(({ name }) => name), sources: this.#parts.filter.list() };
  }

  async apply(steps: readonly Step[]): Promise<StepFailure[]> {
    const failures: StepFailure[] = [];
    for (const { by, steps: run } of runs(steps)) {
      if (by === "settle") failures.push(...this.#work((session) => this.#settle(session, run)));
      else if (by === "delete-device") failures.push(...(await this.#deleteDevices(run)));
      else for (const step of run) failures.push(...(await attempt([step], () => this.#wireguard.apply(step))));
    }
    return failures;
  }

  async learned(ports: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>> {
    const socket = this.#home.meshSocket;
    const links = getLinks(socket, ports).filter(({ master }) => master !== undefined);
    return new Map(links.map(({ name, index }) => [name, dumpLearned(socket, index)]));
  }

  events(signal: AbortSignal): AsyncIterable<KernelEvent> {
    return this.#events.listen(signal);
  }

  async counters(devices: readonly string[]): Promise<ReadonlyMap<string, Counters>> {
    const found = this.#counters.read(devices);
    const refused = this.#rules?.refused();
    if (refused === undefined) return found;
    return new Map([...found].map(([name, counters]) => [name, { ...counters, ...refusedOf(name, refused) }]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#events[Symbol.dispose]();
    this.#rules?.[Symbol.dispose]();
    closeHome(this.#home);
  }

  #mend(): void {
    this.#parts.filter.mend();
    this.#rules?.mend();
  }

  #work<T>(task: (session: Session) => T): T {
    using session = new Session(this.#home);
    return task(session);
  }

  #settle(session: Session, steps: readonly Step[]): StepFailure[] {
    const means = {
      ...{ filter: this.#parts.filter, guards: this.#rules?.guards, clamp: this.#rules?.clamp },
      ...{ policies: this.#rules?.policies, mode: this.#mode },
    };
    const failures: StepFailure[] = [];
    for (const step of steps) {
      try {
        applyStep(session, step, means);
      } catch (error) {
        failures.push(failure(step, error));
      }
    }
    return failures;
  }

  #deleteDevices(steps: readonly Step[]): Promise<StepFailure[]> {
    const names = steps.map((step) => (step.op === "delete" && "name" in step.old ? step.old.name : ""));
    return attempt(steps, () => removeDevices(this.#home, names));
  }

  /** A bridge also shows what the rules say of its size. */
  #judged(found: readonly KernelObject[]): KernelObject[] {
    return found.map((object) => (object.kind === "bridge" ? (this.#rules?.clamp?.judged(object) ?? object) : object));
  }

  /** By name, whether the device is there or not. */
  #guards(devices: readonly string[], wanted: readonly KernelObject[]): Guard[] {
    const guards = this.#rules?.guards;
    if (guards === undefined) return [];
    const right = new Map(wanted.filter((object) => object.kind === "guard").map((guard) => [guard.device, guard]));
    return devices.flatMap((device) => guards.find(device, right.get(device)) ?? []);
  }

  #sources(wanted: readonly KernelObject[]): VxlanSource[] {
    return wanted.filter((object) => object.kind === "vxlan-source").filter((source) => this.#parts.filter.has(source));
  }
}

/** What was dropped of one port's packets, by reason. */
function refusedOf(device: string, refused: Refused): Partial<Counters> {
  return Object.fromEntries(Object.entries(refused).map(([reason, counts]) => [reason, counts.get(device) ?? 0]));
}

interface Run {
  readonly by: ReturnType<typeof doneBy>;
  readonly steps: Step[];
}

/** The steps in their order, neighbours that are done alike together: so a pod is entered once for all that concerns it. */
function runs(steps: readonly Step[]): Run[] {
  const found: Run[] = [];
  for (const step of steps) {
    const by = doneBy(step);
    const last = found.at(-1);
    if (last?.by === by) last.steps.push(step);
    else found.push({ by, steps: [step] });
  }
  return found;
}

async function attempt(steps: readonly Step[], task: () => Promise<void>): Promise<StepFailure[]> {
  try {
    await task();
    return [];
  } catch (error) {
    return steps.map((step) => failure(step, error));
  }
}

function failure(step: Step, error: unknown): StepFailure {
  return { step, error: error instanceof Error ? error : new Error(String(error)) };
}
