import { randomInt } from "node:crypto";
import { MeshError } from "../core/error.js";
import type { Netns } from "../kernel/model.js";
import type { CrossConnect, Side } from "./crossConnect.js";

/** What can be used once on this node, by whom. A claim is made before the first wait, so that two requests never get the same. */
export class Claims {
  readonly #owners = new Map<string, string>();
  readonly #claims = new Map<string, Set<string>>();

  /** Whether the claim is `id`'s now (or was already). */
  take(claim: string, id: string): boolean {
    const owner = this.#owners.get(claim);
    if (owner !== undefined) return owner === id;
    this.#owners.set(claim, id);
    const own = this.#claims.get(id) ?? new Set();
    this.#claims.set(id, own.add(claim));
    return true;
  }

  owner(claim: string): string | undefined {
    return this.#owners.get(claim);
  }

  /** Makes these the only claims of `id`. */
  keep(id: string, kept: readonly string[]): void {
    for (const claim of kept) this.take(claim, id);
    for (const claim of this.#claims.get(id) ?? []) if (!kept.includes(claim)) this.#free(claim, id);
  }

  release(id: string): void {
    this.keep(id, []);
    this.#claims.delete(id);
  }

  #free(claim: string, id: string): void {
    this.#owners.delete(claim);
    this.#claims.get(id)?.delete(claim);
  }
}

export function interfaceClaim(pod: Netns, name: string): string {
  return `interface ${pod.cookie} ${name}`;
}

/** Who receives on a VNI: a connection or a segment in the node tunnel, or a connection on the node's own network, which is another space. */
export type VniUse = "node-tunnel" | "segment" | "vxlan";

export function vniClaim(use: VniUse, vni: number): string {
  return `vni ${use} ${vni}`;
}

export function portClaim(port: number): string {
  return `port ${port}`;
}

/** All that a connection needs to keep. */
export function claimsOf(connect: CrossConnect): string[] {
  return [sideClaim(connect.client), sideClaim(connect.endpoint)];
}

function sideClaim(side: Side): string {
  switch (side.kind) {
    case "kernel":
      return interfaceClaim(side.pod, side.name);
    case "node-tunnel":
    case "vxlan":
      return vniClaim(side.kind, side.vni);
    case "wireguard":
      return portClaim(side.listenPort);
    default:
      return side satisfies never;
  }
}

/** In the node tunnel connections have the lower half, segments the upper: so it is seen of a VNI whose it is. */
export const firstOfSegments = 2 ** 23;
const ranges = {
  "node-tunnel": { first: 2, end: firstOfSegments },
  segment: { first: firstOfSegments, end: 2 ** 24 },
  vxlan: { first: 2, end: 2 ** 24 },
} as const satisfies Record<VniUse, { first: number; end: number }>;

/** A random VNI that nobody on this node has; `parity` 0 or 1 keeps to even or odd ones, as NSM does. */
export function claimVni(claims: Claims, use: VniUse, id: string, parity?: 0 | 1): number {
  const { first, end } = ranges[use];
  for (let attempt = 0; attempt < 1000; attempt++) {
    const drawn = randomInt(first, end);
    const vni = parity === undefined ? drawn : drawn - (drawn % 2) + parity;
    if (vni < end && claims.owner(vniClaim(use, vni)) === undefined && claims.take(vniClaim(use, vni), id)) return vni;
  }
  throw new MeshError("exhausted", "no VNI is free on this node; close connections that are not needed");
}
