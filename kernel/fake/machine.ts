import { MeshError } from "../../core/error.js";
import { keyOf, routeText } from "../difference.js";
import type { KernelEvent, KernelObject, Netns, Port, Route, Where } from "../model.js";
import { checkDeviceName } from "../names.js";
import { gone } from "../netns.js";

type Device = Extract<KernelObject, { name: string }>;

/** A pretended Linux machine: what lies in its mesh namespace and on the pods' ends. It outlives the FakeKernels that look at it. */
export class FakeMachine {
  readonly #objects = new Map<string, KernelObject>();
  readonly #indexes = new Map<string, number>();
  // Ports as they were wanted last: what is on a pod's end goes by that name, whatever the pod calls its end now.
  readonly #settled = new Map<string, Port>();
  readonly #pods: Map<string, { readonly netns: Netns; readonly foreign: Set<string> }>;
  /** The port at which a bridge has learned each MAC address. */
  readonly #learned = new Map<string, string>();
  readonly #listeners = new Set<(event: KernelEvent) => void>();
  #next = 1;

  /** A namespace `beside` another one has the same pods. */
  constructor(beside?: FakeMachine) {
    this.#pods = beside === undefined ? new Map() : beside.#pods;
  }

  /** Makes a pod's namespace; `foreign` are interfaces in it that are not ours. */
  addPod(name: string, foreign: readonly string[] = ["lo", "eth0"]): Netns {
    const netns = { path: `/run/netns/${name}`, cookie: String(1000 + this.#next++) };
    this.#pods.set(netns.cookie, { netns, foreign: new Set(foreign) });
    return netns;
  }

  /** The pod's namespace ends, and with it the ends in it and their ports. */
  removePod(pod: Netns): void {
    this.#pods.delete(pod.cookie);
    for (const [key, object] of this.#objects) if (object.kind === "rule" && object.where.cookie === pod.cookie) this.#objects.delete(key);
    for (const port of this.#ports()) if (port.pod.cookie === pod.cookie) this.removeDevice(port.name);
  }

  hear(listener: (event: KernelEvent) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  tell(event: KernelEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  objects(): KernelObject[] {
    return [...this.#objects.values()].map((object) => this.#seen(object));
  }

  /** The device's number; it stays as long as the device does. */
  indexOf(device: string): number | undefined {
    return this.#indexes.get(device);
  }

  port(pod: Netns, podInterface: string): Port | undefined {
    return this.#ports().find((port) => port.pod.cookie === pod.cookie && port.podInterface === podInterface);
  }

  /** Whether an object goes with a device of the mesh namespace. */
  hangsOn(object: KernelObject, device: string): boolean {
    if (object.kind === "redirect") return object.from === device;
    if (object.kind === "policy" || object.kind === "group-member") return device === "lo";
    if (!("device" in object)) return false;
    if (!("where" in object) || object.where === "mesh") return object.device === device;
    const port = this.#settled.get(device);
    return port !== undefined && object.where.cookie === port.pod.cookie && object.device === port.podInterface;
  }

  learnedAt(port: string): string[] {
    return [...this.#learned].flatMap(([mac, at]) => (at === port ? [mac] : []));
  }

  /** Somebody sends from that MAC address at a port, which learns it if it does that. What stays elsewhere stays, what yields is gone. */
  speak(port: string, mac: string): void {
    const device = this.#device(port);
    const entries = [...this.#objects.values()].filter((object) => object.kind === "bridge-fdb").filter((entry) => entry.mac === mac);
    if (device === undefined || !("bridge" in device) || device.bridge?.learning !== true) return;
    if (this.#learned.get(mac) === port || entries.some(({ yields }) => yields !== true)) return;
    this.#drop((object) => object.kind === "bridge-fdb" && object.mac === mac);
    this.#learned.set(mac, port);
    this.tell({ kind: "learned", device: port });
  }

  /** It was silent for too long. */
  forget(mac: string): void {
    const port = this.#learned.get(mac);
    this.#learned.delete(mac);
    if (port !== undefined) this.tell({ kind: "learned", device: port });
  }

  /** Makes or changes it, by the kernel's rules. */
  settle(value: KernelObject): void {
    if ("name" in value) this.#settleDevice(value);
    else this.#checkPlace(value);
    if (value.kind === "route" && value.where === "mesh") this.#checkRoute(value);
    if (value.kind === "bridge-fdb") this.forget(value.mac);
    this.#objects.set(keyOf(value), value);
    if (value.kind === "policy") this.#keepGroups(value.rules.flatMap(({ from, to }) => [from, to]));
    this.#tellOf(value);
  }

  /** Not there: nothing happens. */
  remove(value: KernelObject): void {
    if ("name" in value) this.removeDevice(value.name);
    else if (this.#objects.delete(keyOf(value))) this.#tellOf(value);
    if (value.kind === "policy") this.#keepGroups([]);
  }

  /** A device goes, and all that hangs on it. */
  removeDevice(name: string): void {
    const device = this.#device(name);
    if (device === undefined) return;
    this.#drop((object) => object === device || this.hangsOn(object, name));
    if (device.kind === "bridge") this.#dropPorts(name);
    for (const mac of this.learnedAt(name)) this.forget(mac);
    this.#indexes.delete(name);
    this.#settled.delete(name);
    this.tell({ kind: "gone", device: name });
  }

  /** What a pod does to its own end: `change` gives the new port; `undefined` deletes the end. Its `loses` go with it. */
  meddle(port: Port, change: Partial<Port> | undefined, loses: readonly KernelObject["kind"][] = []): void {
    if (change === undefined) {
      this.removeDevice(port.name);
      return;
    }
    for (const [key, object] of this.#objects) {
      if (loses.includes(object.kind) && this.hangsOn(object, port.name)) this.#objects.delete(key);
    }
    this.#objects.set(keyOf(port), { ...port, ...change });
    this.tell({ kind: "changed", device: port.name });
  }

  /** The namespace's own table has one to a prefix, of each metric. */
  #checkRoute(value: Route): void {
    const isOther = (one: Route) => one.where === value.where && one.device !== value.device && routeText(one) === routeText(value);
    if (this.objects().some((one) => one.kind === "route" && isOther(one)))
      throw new MeshError("exists", `there is a route to that prefix already: ${value.prefix}`);
  }

  #settleDevice(value: Device): void {
    checkDeviceName(value.name);
    if (value.kind === "port") this.#checkPod(value);
    if (value.kind === "vxlan") this.#checkVni(value);
    if ("bridge" in value && value.bridge !== undefined) this.#checkDevice("mesh", value.bridge.bridge);
    const old = this.#device(value.name);
    if (old !== undefined && reborn(old, value)) this.#drop((object) => this.hangsOn(object, old.name));
    if (old !== undefined && bridgeOf(old) !== bridgeOf(value)) this.#dropEntries(old.name);
    if (value.kind === "port") this.#settled.set(value.name, value);
    if (!this.#indexes.has(value.name)) this.#indexes.set(value.name, this.#next++);
  }

  #checkPod(port: Port): void {
    checkDeviceName(port.podInterface);
    const pod = this.#pods.get(port.pod.cookie);
    if (pod === undefined) throw gone(port.pod);
    const other = this.port(port.pod, port.podInterface);
    if (pod.foreign.has(port.podInterface) || (other !== undefined && other.name !== port.name)) {
      throw new MeshError("exists", `the pod at ${port.pod.path} has an interface ${port.podInterface} already; name another one`);
    }
  }

  #checkVni(vxlan: Device & { kind: "vxlan" }): void {
    for (const other of this.#objects.values()) {
      if (other.kind !== "vxlan" || other.name === vxlan.name) continue;
      if (other.vni === vxlan.vni && other.udpPort === vxlan.udpPort && other.madeIn === vxlan.madeIn) {
        throw new MeshError(
          "exists",
          `VNI ${vxlan.vni} on UDP port ${vxlan.udpPort} is taken by another VXLAN device of this node; choose another`,
        );
      }
    }
  }

  #checkPlace(value: Exclude<KernelObject, Device>): void {
    if (value.kind === "vxlan-source" || value.kind === "guard" || value.kind === "policy" || value.kind === "group-member") return;
    const devices = value.kind === "redirect" ? [value.from, value.to] : [value.device];
    for (const device of devices) this.#checkDevice("where" in value ? value.where : "mesh", device);
  }

  #checkDevice(where: Where, device: string): void {
    if (where !== "mesh" && !this.#pods.has(where.cookie)) throw gone(where);
    if (where === "mesh" ? device === "lo" || this.#device(device) !== undefined : this.port(where, device) !== undefined) return;
    throw new MeshError("not-found", `there is no device ${device} in ${where === "mesh" ? "the mesh namespace" : where.path}`);
  }

  /** A redirect to a device that is gone shows no name. */
  #seen(object: KernelObject): KernelObject {
    return object.kind === "redirect" && this.#device(object.to) === undefined ? { ...object, to: "" } : object;
  }

  #tellOf(value: KernelObject): void {
    const device = "name" in value ? value.name : value.kind === "redirect" ? value.from : "device" in value ? value.device : undefined;
    const where = "where" in value ? value.where : "mesh";
    const name = where === "mesh" || device === undefined ? device : this.port(where, device)?.name;
    if (name !== undefined) this.tell({ kind: "changed", device: name });
  }

  /** A policy that changes or goes takes along the groups that it names no more. */
  #keepGroups(groups: readonly (string | undefined)[]): void {
    this.#drop((object) => object.kind === "group-member" && !groups.includes(object.group));
  }

  /** Rules and guards go with no device. */
  #drop(which: (object: KernelObject) => boolean): void {
    for (const [key, object] of this.#objects) {
      if (object.kind !== "rule" && object.kind !== "guard" && which(object)) this.#objects.delete(key);
    }
  }

  /** What was a port of the bridge is one of none, and the bridge's entries are gone. */
  #dropPorts(bridge: string): void {
    for (const [key, object] of this.#objects) {
      if (!("bridge" in object) || bridgeOf(object) !== bridge) continue;
      const { bridge: _, ...rest } = object;
      this.#objects.set(key, rest);
      this.#dropEntries(object.name);
    }
  }

  #dropEntries(port: string): void {
    this.#drop((object) => object.kind === "bridge-fdb" && object.device === port);
  }

  #device(name: string): Device | undefined {
    for (const object of this.#objects.values()) if ("name" in object && object.name === name) return object;
    return undefined;
  }

  #ports(): Port[] {
    return [...this.#objects.values()].filter((object) => object.kind === "port");
  }
}

function bridgeOf(device: Device): string | undefined {
  return "bridge" in device ? device.bridge?.bridge : undefined;
}

/** Whether the change takes a new device under the old name. */
function reborn(old: Device, value: Device): boolean {
  if (old.kind === "port" && value.kind === "port") return old.pod.cookie !== value.pod.cookie;
  if (old.kind !== "vxlan" || value.kind !== "vxlan") return old.kind !== value.kind;
  return old.vni !== value.vni || old.udpPort !== value.udpPort || old.local !== value.local || old.madeIn !== value.madeIn;
}
