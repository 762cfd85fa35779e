import { MultiMap } from "../core/multiMap.js";
import { keyOf } from "../kernel/difference.js";
import type { KernelObject, Step, VxlanSource } from "../kernel/model.js";
import { byKey } from "./plan.js";

/** Answers the device of the mesh namespace that an object belongs to, as far as the given objects tell. */
export function ownersAmong(...lists: readonly (readonly KernelObject[])[]): (object: KernelObject) => string | undefined {
  const pods = new Map<string, string>();
  const vnis = { mesh: new Map<number, string>(), node: new Map<number, string>() };
  for (const object of lists.flat()) {
    if (object.kind === "port") pods.set(`${object.pod.cookie} ${object.podInterface}`, object.name);
    if (object.kind === "vxlan") vnis[object.madeIn].set(object.vni, object.name);
  }
  return (object) => {
    switch (object.kind) {
      case "bridge":
      case "port":
      case "vxlan":
      case "wireguard":
        return object.name;
      case "vxlan-remote":
      case "vxlan-fdb":
      case "bridge-fdb":
      case "guard":
      case "wireguard-peer":
        return object.device;
      case "policy":
      case "group-member":
        return "lo";
      case "redirect":
        return object.from;
      case "vxlan-source":
        // The filter is of the node tunnel: that of a device made in the mesh, or, seen from a segment's namespace, in what is its node's.
        return vnis.mesh.get(object.vni) ?? vnis.node.get(object.vni);
      case "address":
      case "route":
      case "rule":
      case "neighbour":
        return object.where === "mesh" ? object.device : pods.get(`${object.where.cookie} ${object.device}`);
      default:
        return object satisfies never;
    }
  };
}

interface Unit {
  readonly objects: readonly KernelObject[];
  readonly devices: ReadonlyMap<string, readonly KernelObject[]>;
}

/** What is wanted, in units that come and go as one (a connection, a peer, the tunnel), found by device at a cost that does not grow. */
export class Units {
  readonly #units = new Map<string, Unit>();
  readonly #byDevice = new MultiMap<string, string>();

  /** Takes the place of the unit's last version; answers that one. */
  set(name: string, objects: readonly KernelObject[]): readonly KernelObject[] {
    const old = this.drop(name);
    const owner = ownersAmong(objects);
    const devices = new Map<string, KernelObject[]>();
    for (const object of byKey(objects).values()) {
      const device = owner(object);
      if (device !== undefined) devices.set(device, [...(devices.get(device) ?? []), object]);
    }
    this.#units.set(name, { objects, devices });
    for (const device of devices.keys()) this.#byDevice.add(device, name);
    return old;
  }

  /** Forgets the unit; answers what it wanted. */
  drop(name: string): readonly KernelObject[] {
    const unit = this.#units.get(name);
    this.#units.delete(name);
    for (const device of unit?.devices.keys() ?? []) this.#byDevice.delete(device, name);
    return unit?.objects ?? [];
  }

  has(name: string): boolean {
    return this.#units.has(name);
  }

  objects(name: string): readonly KernelObject[] {
    return this.#units.get(name)?.objects ?? [];
  }

  devices(name: string): Iterable<string> {
    return this.#units.get(name)?.devices.keys() ?? [];
  }

  /** The units that want something on a device. */
  users(device: string): ReadonlySet<string> {
    return this.#byDevice.get(device);
  }

  /** The device and those it shares a unit with: a redirect to a device that was made anew leads nowhere. */
  together(device: string): Set<string> {
    return new Set([...this.users(device)].flatMap((name) => [...this.devices(name)]));
  }

  /** All that is wanted on these devices, whichever unit wants it. */
  wantedOn(devices: Iterable<string>): KernelObject[] {
    return [...devices].flatMap((device) => [...this.users(device)].flatMap((name) => this.#units.get(name)?.devices.get(device) ?? []));
  }

  /** Answers which unit wants an object of these steps, on these devices; of those that share it, one. */
  wanters(
    steps: readonly Step[],
    on: { readonly full: boolean; readonly devices: Iterable<string> },
  ): (object: KernelObject) => string | undefined {
    const wanted = on.full ? this.all() : this.wantedOn(on.devices);
    const owner = ownersAmong(
      steps.map((step) => (step.op === "delete" ? step.old : step.value)),
      wanted,
    );
    return (object) => {
      const device = owner(object);
      return device === undefined ? undefined : this.users(device).values().next().value;
    };
  }

  allDevices(): string[] {
    return [...new Set([...this.#units.values()].flatMap((unit) => [...unit.devices.keys()]))];
  }

  all(): KernelObject[] {
    return [...this.#units.values()].flatMap((unit) => unit.objects);
  }

  /** The filter's entries against the wanted ones: devices of those that are missing, and those that nobody wants. */
  compareSources(found: readonly VxlanSource[]): { missing: Set<string>; unwanted: VxlanSource[] } {
    const left = new Map(found.map((source) => [keyOf(source), source]));
    const wanted = new Map<string, string>();
    for (const { devices } of this.#units.values()) {
      for (const [device, objects] of devices)
        for (const object of objects) if (object.kind === "vxlan-source") wanted.set(keyOf(object), device);
    }
    const missing = new Set([...wanted].flatMap(([key, device]) => (left.has(key) ? [] : [device])));
    return { missing, unwanted: [...left].flatMap(([key, source]) => (wanted.has(key) ? [] : [source])) };
  }

  /** The keys of all that a unit wants. */
  keys(name: string): Set<string> {
    return new Set(this.objects(name).map(keyOf));
  }
}
