import type { Connection, Mechanism } from "../../api/gen/connection/connection.js";
import type { Call } from "../../core/chain.js";
import type { Clock } from "../../core/clock.js";
import { MeshError } from "../../core/error.js";
import { IP, REMOTE, WIREGUARD, wireguardMechanism, wireguardParameters } from "../../core/mechanism.js";
import { type Claims, portClaim } from "../claims.js";
import type { WireguardSide } from "../crossConnect.js";
import { lower, wireguardMtu } from "../mtu.js";
import { deviceOf, type Role } from "../names.js";
import { handshake, isFresh } from "../tunnel/handshake.js";
import type { TunnelLink } from "../tunnel/link.js";
import { endpointText, type OwnEnd, present, type Underlay } from "./ends.js";
import type { ConnectionKeys } from "./keys.js";
import type { Way } from "./mechanism.js";

export interface WireguardWayParts {
  readonly claims: Claims;
  readonly underlay: Underlay;
  readonly own: OwnEnd;
  readonly link: Pick<TunnelLink, "status">;
  readonly clock: Clock;
  /** UDP ports, one for each connection. */
  readonly ports: PortRange;
  readonly keys: Pick<ConnectionKeys, "offer" | "write" | "remove">;
}

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

const patienceMs = 6_000;

/** NSM's: a WireGuard device with a key of its own for each connection, payload IP. */
export function wireguardWay(parts: WireguardWayParts): Way<WireguardSide> {
  const { claims, underlay, keys } = parts;
  const mtu = wireguardMtu(underlay);
  const port = (id: string, before: WireguardSide | undefined) => before?.listenPort ?? claimPort(claims, parts.ports, id);
  const publicKey = (id: string, before: WireguardSide | undefined) => before?.publicKey ?? keys.offer(id);
  /** NSM knows no end without an address; one where nobody comes in is as good as another. */
  const end = (connection: Connection, before: WireguardSide | undefined) => {
    const { id } = connection;
    const inside = { ip: underlay.ip, port: port(id, before) };
    return { ...(parts.own.at(connection, inside.port) ?? inside), publicKey: publicKey(id, before) };
  };
  /** Where the peer is seen, whatever it says of itself: behind a NAT it does not know. */
  const seen = async (id: string, role: Role, before: WireguardSide | undefined, peerKey: string) => {
    if (before?.peerKey !== peerKey) return undefined;
    const status = (await parts.link.status(deviceOf(id, role, before))).find((one) => one.publicKey === peerKey);
    return status !== undefined && isFresh(status, parts.clock.now()) ? status.endpoint : undefined;
  };
  const own = (id: string, before: WireguardSide | undefined) => {
    const mine = { listenPort: port(id, before), publicKey: publicKey(id, before) };
    return { ...mine, keyFile: before?.keyFile ?? keys.write(id) };
  };

  return {
    type: WIREGUARD,
    cls: REMOTE,
    kind: "wireguard",
    refusal: (connection) => (connection.payload === IP ? undefined : "wireguard carries payload IP only"),

    async accept(call: Call, asked: Mechanism, before) {
      const { id } = call.connection;
      const parameters = wireguardParameters(asked);
      const from = present(parameters.source, WIREGUARD, "source");
      const mechanism = wireguardMechanism(
        { source: from, destination: end(call.connection, before), mtu: lower(parameters.mtu, mtu) },
        asked,
      );
      const isNew = before === undefined || before.peerKey !== from.publicKey;
      const peerEndpoint = (await seen(id, "client", before, from.publicKey)) ?? endpointText(from);
      const waits = isNew && parts.own.isReached(call.connection);
      return { kind: "wireguard", mechanism, ...own(id, before), peerKey: from.publicKey, peerEndpoint, waits };
    },

    async offer(call: Call, before) {
      return wireguardMechanism({ source: end(call.connection, before), destination: undefined, mtu });
    },

    async take(answer: Connection, answered: Mechanism, _offered, before) {
      const to = present(wireguardParameters(answered).destination, WIREGUARD, "destination");
      return {
        kind: "wireguard",
        mechanism: answered,
        ...own(answer.id, before),
        peerKey: to.publicKey,
        peerEndpoint: (await seen(answer.id, "endpoint", before, to.publicKey)) ?? endpointText(to),
        waits: false,
      };
    },

    async ready(connection, side, signal) {
      const device = deviceOf(connection.id, "endpoint", side);
      if (await handshake(parts, { device, publicKey: side.peerKey }, patienceMs, signal)) return;
      throw new MeshError(
        "unreachable",
        `no WireGuard handshake with ${side.peerEndpoint} in ${patienceMs / 1000} s; can UDP reach that address and port from this node?`,
      );
    },

    forget: (id) => keys.remove(id),
  };
}

function claimPort(claims: Claims, { first, last }: PortRange, id: string): number {
  for (let port = first; port <= last; port++) {
    const owner = claims.owner(portClaim(port));
    if ((owner === undefined || owner === id) && claims.take(portClaim(port), id)) return port;
  }
  throw new MeshError("exhausted", `all WireGuard ports ${first} to ${last} of this node are in use; give it a wider range`);
}
