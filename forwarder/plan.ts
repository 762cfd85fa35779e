import { keyOf, routeText, same } from "../kernel/difference.js";
import type { KernelObject, Step, Where } from "../kernel/model.js";

/** Links first, then what hangs on them; a delete goes the other way. */
const ranks = {
  guard: 0, // by its name, before a port of that name is there and as long as it is
  bridge: 1,
  wireguard: 2,
  vxlan: 2,
  port: 2,
  "wireguard-peer": 3,
  "vxlan-remote": 3,
  "vxlan-fdb": 3,
  "bridge-fdb": 3,
  address: 4,
  neighbour: 5,
  route: 6,
  rule: 7,
  redirect: 7,
  "vxlan-source": 7,
  "group-member": 7,
  policy: 8, // when all are in its groups whom it lets through
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
 * One route is deleted before another is added to the same prefix over another device: a table has one at a time.
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
  const routed = new Set(made.flatMap((step) => (step.op === "add" ? (routeOf(step.value) ?? []) : [])));
  const inTheWay = new Set(gone.filter(({ old }) => routed.has(routeOf(old) ?? "")));
  const deletes = gone.filter((step) => !inTheWay.has(step) && (isDevice(step.old) || !doomed.has(carrierOf(step.old))));
  // The sort keeps the order of what has one rank.
  return [...[...inTheWay, ...made].sort((a, b) => rank(a) - rank(b)), ...deletes.sort((a, b) => rank(b) - rank(a))];
}

/** What a table has one of. */
function routeOf(object: KernelObject): string | undefined {
  return object.kind === "route" ? `${place(object.where)} ${routeText(object)}` : undefined;
}

function rank(step: Step): number {
  return ranks[(step.op === "delete" ? step.old : step.value).kind];
}

function isDevice(object: KernelObject): boolean {
  return "name" in object;
}

/** Where objects can hang that vanish with this one: a device, and for a port its pod's end too. */
function carriers(object: KernelObject): string[] {
  if (object.kind === "port") return [`mesh ${object.name}`, `${object.pod.cookie} ${object.podInterface}`];
  return "name" in object ? [`mesh ${object.name}`] : [];
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
    case "bridge-fdb":
    case "wireguard-peer":
      return `mesh ${object.device}`;
    default:
      return "";
  }
}

function place(where: Where): string {
  return where === "mesh" ? "mesh" : where.cookie;
}
