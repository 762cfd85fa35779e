import type { KernelObject, Step, Where } from "../kernel/model.js";

/** Links first, then what hangs on them; a delete goes the other way. */
const ranks = {
  wireguard: 0,
  vxlan: 0,
  port: 0,
  "wireguard-peer": 1,
  "vxlan-remote": 1,
  address: 2,
  neighbour: 3,
  route: 4,
  redirect: 5,
  "vxlan-source": 5,
} as const satisfies Record<KernelObject["kind"], number>;

/** What makes an object the same one: two objects with one key are two versions of it. */
export function keyOf(object: KernelObject): string {
  switch (object.kind) {
    case "port":
    case "vxlan":
    case "wireguard":
      return `${object.kind} ${object.name}`;
    case "vxlan-remote":
      return `vxlan-remote ${object.device}`;
    case "wireguard-peer":
      return `wireguard-peer ${object.device} ${object.publicKey}`;
    case "address":
      return `address ${place(object.where)} ${object.device} ${object.address}`;
    case "route":
      return `route ${place(object.where)} ${object.device} ${object.prefix}`;
    case "neighbour":
      return `neighbour ${place(object.where)} ${object.device} ${object.address}`;
    case "redirect":
      return `redirect ${object.from}`;
    case "vxlan-source":
      return `vxlan-source ${object.source} ${object.vni}`;
    default:
      return object satisfies never;
  }
}

function place(where: Where): string {
  return where === "mesh" ? "mesh" : where.cookie;
}

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
    else if (forced.has(key) || difference(value, old) !== undefined) made.push({ op: "replace", key, value, old });
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
    case "wireguard-peer":
      return `mesh ${object.device}`;
    default:
      return "";
  }
}

/** The first field in which what was found is not what is wanted, in words for the log; undefined: the same. Never shows a key. */
export function difference(wanted: KernelObject, found: KernelObject): string | undefined {
  const [want, have] = [fields(wanted), fields(found)];
  for (const name of new Set([...want.keys(), ...have.keys()])) {
    const [a, b] = [want.get(name), have.get(name)];
    if (a === b || ignored(name, a, b)) continue;
    return secretive.has(name) ? `${name} differs` : `${name} is ${b ?? "unset"}, wanted ${a ?? "unset"}`;
  }
  return undefined;
}

const secretive: ReadonlySet<string> = new Set(["publicKey", "privateKeyFile"]);

/** An endpoint that the kernel learned is as good as ours; a key's file is ours alone to know; a path may have two names. */
function ignored(name: string, wanted: string | undefined, found: string | undefined): boolean {
  if (name === "endpoint") return wanted === undefined || found !== undefined;
  return name === "privateKeyFile" || name === "pod.path" || name === "where.path";
}

/** All fields of a value as text, by dotted name. */
function fields(value: object, prefix = ""): Map<string, string> {
  const all = new Map<string, string>();
  for (const [name, field] of Object.entries(value)) {
    if (field === undefined) continue;
    if (Array.isArray(field)) all.set(prefix + name, field.join(" "));
    else if (typeof field === "object" && field !== null)
      for (const [inner, text] of fields(field, `${prefix}${name}.`)) all.set(inner, text);
    else all.set(prefix + name, String(field));
  }
  return all;
}
