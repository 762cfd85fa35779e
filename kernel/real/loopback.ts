import { keyOf } from "../difference.js";
import type { Address, KernelObject } from "../model.js";
import type { OnDevice } from "./contents.js";
import type { Session } from "./session.js";

/** The device that every namespace has, always under this number. */
export const loopback = { name: "lo", index: 1 } as const;

/**
 * The addresses of ours on `lo` of the kernel's own namespace. A segment's namespace is ours with all in it. In the mesh namespace nothing
 * tells whose an address is, so only what is wanted counts.
 */
export function onLoopback(session: Session, wanted: readonly KernelObject[], read: OnDevice): Address[] {
  const here = wanted.filter((object) => object.kind === "address" && object.where === "mesh" && object.device === loopback.name);
  if (session.home.segment === undefined && here.length === 0) return [];
  const keys = new Set(here.map(keyOf));
  return read("mesh", loopback.name, loopback.index)
    .filter((object) => object.kind === "address")
    .filter((address) => (session.home.segment === undefined ? keys.has(keyOf(address)) : !isLoopback(address)));
}

function isLoopback({ address }: Address): boolean {
  return address.startsWith("127.") || address === "::1/128";
}
