import type { Redirect } from "../model.js";
import { getLink } from "../netlink/link.js";
import { type RedirectMode, removeRedirect, setRedirect } from "../tc.js";
import type { Session } from "./session.js";

/** Points a device's ingress at its target, in place of what was. */
export function settleRedirect(session: Session, redirect: Redirect, mode: RedirectMode): void {
  const { from, to, by, ethernet } = redirect;
  const index = session.index("mesh", to);
  setRedirect(session.home.meshSocket, `send ${from} to ${to}`, session.index("mesh", from), { index, by, ethernet }, mode);
}

/** Gone already, also with its device: nothing to do. */
export function dropRedirect(session: Session, redirect: Redirect): void {
  const link = getLink(session.home.meshSocket, redirect.from);
  if (link !== undefined) removeRedirect(session.home.meshSocket, `stop sending ${redirect.from} to ${redirect.to}`, link.index);
}
