import { setImmediate } from "node:timers/promises";
import type { Log } from "../core/log.js";
import type { Counters, Kernel, KernelEvent, KernelObject, Step, StepFailure, VxlanSource } from "./model.js";
import { getLink } from "./netlink/link.js";
import { ownNetns } from "./netns.js";
import type { VxlanFilter, WireguardDevices } from "./parts.js";
import { applyStep, isOwnStep } from "./real/apply.js";
import { countersOf } from "./real/counters.js";
import { readDevice, wantedPorts } from "./real/device.js";
import { Events } from "./real/events.js";
import { closeHome, type Home, openHome } from "./real/home.js";
import { aliasPrefix } from "./real/owner.js";
import { Session } from "./real/session.js";
import { findDevice, readMesh } from "./real/survey.js";
import { chooseRedirects, type RedirectMode } from "./tc.js";

/** What a kernel is opened with. */
export interface KernelParts {
  /** The name of the mesh namespace, made where it is absent. */
  readonly mesh: string;
  /** The path of the node's namespace; this process's own unless told. */
  readonly node?: string;
  readonly log: Log;
  readonly wireguard: WireguardDevices;
  readonly filter: VxlanFilter;
  /** How packets are passed on; "auto", the default, takes eBPF where it can. */
  readonly redirects?: RedirectMode | "auto";
}

// Ports read between two turns of the event loop.
const portsPerTurn = 32;

/** The Linux kernel of this node. It leaves all as it is when it is disposed of. */
export async function openKernel(parts: KernelParts): Promise<Kernel> {
  const home = openHome(parts.mesh, parts.node ?? ownNetns);
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
  readonly #events: Events;

  constructor(parts: KernelParts, home: Home, mode: RedirectMode) {
    this.#parts = parts;
    this.#home = home;
    this.#mode = mode;
    this.#events = new Events(home);
  }

  async list(wanted: readonly KernelObject[]): Promise<KernelObject[]> {
    const wireguard = await this.#parts.wireguard.list(aliasPrefix);
    const tunnels = new Set(wireguard.flatMap((object) => (object.kind === "wireguard" ? [object.name] : [])));
    const { links, objects } = this.#work((session) => readMesh(session, tunnels, wanted));
    const found: KernelObject[] = [...wireguard, ...this.#parts.filter.list(), ...objects];
    const ports = wantedPorts(wanted);
    for (let at = 0; at < links.length; at += portsPerTurn) {
      const some = links.slice(at, at + portsPerTurn);
      found.push(...this.#work((session) => some.flatMap((link) => readDevice(session, link, ports))));
      await setImmediate();
    }
    return found;
  }

  async find(devices: readonly string[], wanted: readonly KernelObject[]): Promise<KernelObject[]> {
    const found: KernelObject[] = await this.#parts.wireguard.find(devices);
    found.push(...this.#work((session) => devices.flatMap((device) => findDevice(session, device, wanted))));
    return [...found, ...this.#sources(wanted)];
  }

  async apply(steps: readonly Step[]): Promise<StepFailure[]> {
    const failures: StepFailure[] = [];
    for (let at = 0; at < steps.length; ) {
      const own = ownRun(steps, at);
      if (own.length > 0) failures.push(...this.#work((session) => this.#applyOwn(session, own)));
      const step = steps[at + own.length];
      if (step !== undefined) await this.#parts.wireguard.apply(step).catch((error: unknown) => failures.push(failure(step, error)));
      at += own.length + 1;
    }
    return failures;
  }

  events(signal: AbortSignal): AsyncIterable<KernelEvent> {
    return this.#events.listen(signal);
  }

  async counters(devices: readonly string[]): Promise<ReadonlyMap<string, Counters>> {
    const found = new Map<string, Counters>();
    for (const device of devices) {
      const stats = getLink(this.#home.meshSocket, device, { stats: true })?.stats;
      if (stats !== undefined) found.set(device, countersOf(stats));
    }
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#events[Symbol.dispose]();
    closeHome(this.#home);
  }

  #work<T>(task: (session: Session) => T): T {
    using session = new Session(this.#home);
    return task(session);
  }

  #applyOwn(session: Session, steps: readonly Step[]): StepFailure[] {
    const means = { filter: this.#parts.filter, mode: this.#mode };
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

  #sources(wanted: readonly KernelObject[]): VxlanSource[] {
    return wanted.filter((object) => object.kind === "vxlan-source").filter((source) => this.#parts.filter.has(source));
  }
}

/** The steps from `at` on that need no waiting, so that a pod is entered once for all of them. */
function ownRun(steps: readonly Step[], at: number): readonly Step[] {
  const end = steps.findIndex((step, index) => index >= at && !isOwnStep(step));
  return steps.slice(at, end < 0 ? steps.length : end);
}

function failure(step: Step, error: unknown): StepFailure {
  return { step, error: error instanceof Error ? error : new Error(String(error)) };
}
