import type { Netns } from "../kernel/model.js";
import { host, isV6 } from "./addresses.js";
import type { CrossConnect, Side } from "./crossConnect.js";
import { devicesOf } from "./names.js";

/** A connection whose data path is checked, and what is known of it. */
export interface Checked {
  readonly id: string;
  readonly pod: Netns;
  readonly device: string;
  readonly pairs: readonly (readonly [source: string, destination: string])[];
  /** Where the pod's incoming packets come in. */
  readonly receives: string;
  /** The node that its packets go to: what happens to it happens to all that share it. */
  readonly way: string;
  received: number | undefined;
  /** Of what came in since the last look, the answers to our own pings. */
  own: number;
  /** When it was pinged last, by the monotonic clock. */
  askedAt: number;
  /** Whether anything ever came back: a pod that answers no ping at all says nothing. */
  answered: boolean;
  dead: boolean;
  running: Promise<boolean> | undefined;
}

/** Undefined for one that cannot be asked: its client's pod is elsewhere, or it has no addresses. */
export function checkedOf(connect: CrossConnect): Checked | undefined {
  const { client, endpoint, addresses } = connect;
  if (client.kind !== "kernel") return undefined;
  const pairs = addresses.src.flatMap((source) =>
    addresses.dst
      .filter((destination) => isV6(source) === isV6(destination))
      .map((destination) => [host(source), host(destination)] as const),
  );
  if (pairs.length === 0) return undefined;
  return {
    ...{ id: connect.id, pod: client.pod, device: client.name, pairs, receives: devicesOf(connect).endpoint, way: wayOf(endpoint) },
    ...{ received: undefined, own: 0, askedAt: Number.NEGATIVE_INFINITY, answered: false, dead: false, running: undefined },
  };
}

function wayOf(endpoint: Side): string {
  switch (endpoint.kind) {
    case "kernel":
      return "this node";
    case "node-tunnel":
      return endpoint.peer;
    case "wireguard":
      return endpoint.peerEndpoint;
    case "vxlan":
      return endpoint.remote;
    default:
      return endpoint satisfies never;
  }
}
