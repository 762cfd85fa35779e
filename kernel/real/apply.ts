import type { KernelObject, Step } from "../model.js";
import { getLink } from "../netlink/link.js";
import type { VxlanFilter } from "../parts.js";
import type { RedirectMode } from "../tc.js";
import { removeAddress, removeNeighbour, removeRoute, settleAddress, settleNeighbour, settleRoute } from "./onDevice.js";
import { isOurs } from "./owner.js";
import { settlePort } from "./port.js";
import { dropRedirect, settleRedirect } from "./redirect.js";
import { removeLink } from "./remove.js";
import type { Session } from "./session.js";
import { removeRemote, settleRemote, settleVxlan } from "./vxlan.js";

/** What is done by the WireGuard part, which may wait. */
type Own = Exclude<KernelObject, { kind: "wireguard" | "wireguard-peer" }>;

/** What is needed beside a session. */
export interface Means {
  readonly filter: VxlanFilter;
  readonly mode: RedirectMode;
}

/** Whether a step is ours to do, and not the WireGuard part's. */
export function isOwnStep(step: Step): boolean {
  const { kind } = step.op === "delete" ? step.old : step.value;
  return kind !== "wireguard" && kind !== "wireguard-peer";
}

/** Does one own step. "add" and "replace" settle for what is wanted whatever is there, so both are safe to repeat. */
export function applyStep(session: Session, step: Step, means: Means): void {
  if (step.op === "delete") remove(session, step.old as Own, means);
  else settle(session, step.value as Own, means);
}

function settle(session: Session, value: Own, means: Means): void {
  switch (value.kind) {
    case "port":
      settlePort(session, value);
      break;
    case "vxlan":
      settleVxlan(session, value);
      break;
    case "vxlan-remote":
      settleRemote(session, value);
      break;
    case "address":
      settleAddress(session, value);
      break;
    case "route":
      settleRoute(session, value);
      break;
    case "neighbour":
      settleNeighbour(session, value);
      break;
    case "redirect":
      settleRedirect(session, value, means.mode);
      break;
    case "vxlan-source":
      means.filter.add(value);
      break;
    default:
      value satisfies never;
  }
}

function remove(session: Session, value: Own, means: Means): void {
  switch (value.kind) {
    case "port":
    case "vxlan":
      removeDevice(session, value.name);
      break;
    case "vxlan-remote":
      removeRemote(session, value);
      break;
    case "address":
      removeAddress(session, value);
      break;
    case "route":
      removeRoute(session, value);
      break;
    case "neighbour":
      removeNeighbour(session, value);
      break;
    case "redirect":
      dropRedirect(session, value);
      break;
    case "vxlan-source":
      means.filter.remove(value);
      break;
    default:
      value satisfies never;
  }
}

function removeDevice(session: Session, name: string): void {
  const link = getLink(session.home.meshSocket, name);
  if (link !== undefined && isOurs(link)) removeLink(session.home.meshSocket, link);
}
