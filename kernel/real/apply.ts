import { MeshError } from "../../core/error.js";
import type { Clamp } from "../clamp.js";
import type { Guards } from "../guards.js";
import type { Guard, KernelObject, Step } from "../model.js";
import type { VxlanFilter } from "../parts.js";
import type { Policies } from "../policies.js";
import type { RedirectMode } from "../tc.js";
import { settleBridge } from "./bridge.js";
import { removeBridgeFdb, removeFdb, replaceRemote, settleBridgeFdb, settleFdb } from "./fdb.js";
import {
  removeAddress,
  removeNeighbour,
  removeRoute,
  removeRule,
  settleAddress,
  settleNeighbour,
  settleRoute,
  settleRule,
} from "./onDevice.js";
import { settlePort } from "./port.js";
import { dropRedirect, settleRedirect } from "./redirect.js";
import type { Session } from "./session.js";
import { settleVxlan } from "./vxlan.js";

type DeviceKind = "bridge" | "port" | "vxlan";
type Settled = Exclude<KernelObject, { kind: "wireguard" | "wireguard-peer" }>;
type Removed = Exclude<Settled, { kind: DeviceKind }>;

/** What is needed beside a session. */
export interface Means {
  readonly filter: VxlanFilter;
  /** Only in the namespace of a switched segment. */
  readonly guards: Guards | undefined;
  readonly clamp: Clamp | undefined;
  /** Only in the namespace of a segment. */
  readonly policies: Policies | undefined;
  readonly mode: RedirectMode;
}

/** How a step is done: at once; as one of many devices that are deleted together; or by the WireGuard part, which may wait. */
export function doneBy(step: Step): "settle" | "delete-device" | "wireguard" {
  const { kind } = step.op === "delete" ? step.old : step.value;
  if (kind === "wireguard" || kind === "wireguard-peer") return "wireguard";
  return step.op === "delete" && (kind === "bridge" || kind === "port" || kind === "vxlan") ? "delete-device" : "settle";
}

/** Does a step of the first kind. "add" and "replace" settle for what is wanted whatever is there, so both are safe to repeat. */
export function applyStep(session: Session, step: Step, means: Means): void {
  if (step.op === "delete") remove(session, step.old as Removed, means);
  else if (step.op === "replace" && step.value.kind === "vxlan-remote") replaceRemote(session, step.value);
  else if (step.value.kind === "guard") guardsOf(means, step.value).settle(step.value, step.op === "add");
  else settle(session, step.value as Exclude<Settled, Guard>, means);
}

function guardsOf({ guards }: Means, { device }: Guard): Guards {
  if (guards !== undefined) return guards;
  throw new MeshError("unsupported", `${device} cannot be guarded: only the namespace of a switched segment has guards`);
}

function policiesOf({ policies }: Means): Policies {
  if (policies !== undefined) return policies;
  throw new MeshError("unsupported", "only the namespace of a segment has a policy");
}

function settle(session: Session, value: Exclude<Settled, Guard>, means: Means): void {
  switch (value.kind) {
    case "bridge":
      settleBridge(session, value);
      means.clamp?.settle(value);
      break;
    case "port":
      settlePort(session, value);
      break;
    case "vxlan":
      settleVxlan(session, value);
      break;
    case "vxlan-remote":
    case "vxlan-fdb":
      settleFdb(session, value);
      break;
    case "bridge-fdb":
      settleBridgeFdb(session, value);
      break;
    case "address":
      settleAddress(session, value);
      break;
    case "route":
      settleRoute(session, value);
      break;
    case "rule":
      settleRule(session, value);
      break;
    case "neighbour":
      settleNeighbour(session, value);
      break;
    case "redirect":
      settleRedirect(session, value, means.mode);
      break;
    case "policy":
    case "group-member":
      policiesOf(means).settle(value);
      break;
    case "vxlan-source":
      means.filter.add(value);
      break;
    default:
      value satisfies never;
  }
}

function remove(session: Session, value: Removed, means: Means): void {
  switch (value.kind) {
    case "vxlan-remote":
    case "vxlan-fdb":
      removeFdb(session, value);
      break;
    case "bridge-fdb":
      removeBridgeFdb(session, value);
      break;
    case "guard":
      means.guards?.remove(value);
      break;
    case "address":
      removeAddress(session, value);
      break;
    case "route":
      removeRoute(session, value);
      break;
    case "rule":
      removeRule(session, value);
      break;
    case "neighbour":
      removeNeighbour(session, value);
      break;
    case "redirect":
      dropRedirect(session, value);
      break;
    case "policy":
    case "group-member":
      means.policies?.remove(value);
      break;
    case "vxlan-source":
      means.filter.remove(value);
      break;
    default:
      value satisfies never;
  }
}
