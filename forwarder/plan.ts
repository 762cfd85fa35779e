import { keyOf, same } from "../kernel/difference.js";
import type { KernelObject, Step, Where } from "../kernel/model.js";

/** Links first, then what hangs on them; a delete goes the other way. */
const ranks = {
  wireguard: 0,
  vxlan: 0,
  port: 0,
  "wireguard-peer": 1,
  "vxlan-remote": 1,
  "vxlan-fdb": 1,
  address: 2,
  neighbour: 3,
  route: 4,
  rule: 5,
  redirect: 5,
  "vxlan-source": 5,
} as const satisfies Record<KernelObject["kind"], number>;

/** The objects by key; of two with one key the last stands. */
export function byKey(objects: Iterable<KernelObject>): Map<string, KernelObject> {
  const map = new Map<string, KernelObject>();
  for (const object of objects) map.set(keyOf(object), object);
  return map;
}

/**
 * Pure. The steps from `found` to `wanted`: adds and replacements from links outwards, then deletes from outside in.
 * What hangs on a device that is deleted goes with it and gets no step. Keys in `forced` are written even if they look the same.
 */
export function plan(wanted: readonly KernelObject[], found: readonly KernelObject[], forced: ReadonlySet<string> = new Set()): Step[] {
  const [want, have] = [byKey(wanted), byKey(found)];
  const made: Step[] = [];
  for (const [key, value] of want) {
    const old = have.get(key);
    if (old === undefined) made.push({ op: "add", key, value });
    else if (forced.has(key) || !same(value, old)) made.push({ op: "replace", key, value, old });
  }
  const gone = [...have].filter(([key]) => !want.has(key)).map(([key, old]): Step & { op: "delete" } => ({ op: "delete", key, old }));
  const doomed = new Set(gone.flatMap(({ old }) => carriers(old)));
  const deletes = gone.filter(({ old }) => isDevice(old) || !doomed.has(carrierOf(old)));
  return [...made.sort((a, b) => rank(a) - rank(b)), ...deletes.sort((a, b) => rank(b) - rank(a))];
}

function rank(step: Step): number {
  return ranks[(step.op === "delete" ? step.old : step.value).kind];
}

function isDevice(object: KernelObject): boolean {
  return ranks[object.kind] === 0;
}

/** Where objects can hang that vanish with this one: a device, and for a port its pod's end too. */
function carriers(object: KernelObject): string[] {
  if (object.kind === "port") return [`mesh ${object.name}`, `${object.pod.cookie} ${object.podInterface}`];
  return object.kind === "vxlan" || object.kind === "wireguard" ? [`mesh ${object.name}`] : [];
}

function carrierOf(object: KernelObject): string {
  switch (object.kind) {
    case "address":
    case "route":
    case "neighbour":
      return `${place(object.where)} ${object.device}`;
    case "redirect":
      return `mesh ${object.from}`;
    case "vxlan-remote":
    case "vxlan-fdb":
    case "wireguard-peer":
      return `mesh ${object.device}`;
    default:
      return "";
  }
}

function place(where: Where): string {
  return where === "mesh" ? "mesh" : where.cookie;
}
