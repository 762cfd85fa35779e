import type { Connection, Mechanism } from "../../api/gen/connection/connection.js";
import type { Call } from "../../core/chain.js";
import type { Prover } from "../../core/checkTokens.js";
import { MeshError } from "../../core/error.js";
import { NODE_TUNNEL, REMOTE, type TunnelEnd, tunnelMechanism, tunnelParameters } from "../../core/mechanism.js";
import { type Claims, claimVni } from "../claims.js";
import type { TunnelSide } from "../crossConnect.js";
import { lower, vxlanInTunnel } from "../mtu.js";
import { destinationSegment, peerAddress, sourceSegment } from "../tunnel/address.js";
import type { NodeTunnel } from "../tunnel/tunnel.js";
import { endpointText, type OwnEnd, present } from "./ends.js";
import type { Way } from "./mechanism.js";

/**
 * Our own: a VXLAN device inside the node tunnel. Each side chooses the VNI on which it receives. The answering side knows the
 * peer before it answers, and waits for it to begin, for two handshakes at once cost 5 s. It begins itself where it says that it cannot
 * be reached, and where the asking side does not come.
 */
export function nodeTunnelWay(parts: {
  readonly tunnel: NodeTunnel;
  readonly claims: Claims;
  readonly own: OwnEnd;
  readonly prover: Prover;
}): Way<TunnelSide> {
  const { tunnel, claims, own, prover } = parts;
  const ownEnd = (connection: Connection, vni: number): TunnelEnd => {
    return { publicKey: tunnel.node.publicKey, vni, at: own.at(connection, tunnel.node.listenPort, true) };
  };
  const ownVni = (id: string, before: TunnelSide | undefined) => before?.vni ?? claimVni(claims, "node-tunnel", id);
  const mtuTo = (peer?: string) => ((peer === undefined ? undefined : tunnel.peerMtu(peer)) ?? tunnel.node.mtu) - vxlanInTunnel;

  return {
    type: NODE_TUNNEL,
    cls: REMOTE,
    kind: "node-tunnel",
    refusal: () => undefined,

    async accept(call: Call, asked: Mechanism, before) {
      const { source, mtu } = tunnelParameters(asked);
      const from = present(source, NODE_TUNNEL, "source");
      const peer = peerAddress({
        connection: call.connection,
        mechanism: asked,
        parameter: sourceSegment,
        publicKey: from.publicKey,
        prover,
      });
      const here = ownEnd(call.connection, ownVni(call.connection.id, before));
      if (from.at === undefined && here.at === undefined) throw nobodyReachable();
      await tunnel.use({ address: peer, publicKey: from.publicKey, proven: true }, call.signal);
      const answer = tunnelMechanism({ source: from, destination: here, mtu: lower(mtu, mtuTo(peer)) }, asked);
      const mechanism = { ...answer, parameters: { ...answer.parameters, [destinationSegment]: call.connection.id } };
      return { kind: "node-tunnel", mechanism, vni: here.vni, peerVni: from.vni, peer };
    },

    answered({ mechanism, peer }) {
      const { source, destination } = tunnelParameters(mechanism);
      void tunnel.expect(peer, { endpoint: source?.at && endpointText(source.at), begins: destination?.at === undefined });
    },

    async offer(call: Call, before) {
      const vni = ownVni(call.connection.id, before);
      const offer = tunnelMechanism({ source: ownEnd(call.connection, vni), destination: undefined, mtu: mtuTo(before?.peer) });
      return { ...offer, parameters: { ...offer.parameters, [sourceSegment]: call.connection.id } };
    },

    async take(answer: Connection, answered: Mechanism, offered: Mechanism) {
      const from = present(tunnelParameters(offered).source, NODE_TUNNEL, "source");
      const to = present(tunnelParameters(answered).destination, NODE_TUNNEL, "destination");
      const peer = peerAddress({ connection: answer, mechanism: answered, parameter: destinationSegment, publicKey: to.publicKey, prover });
      return { kind: "node-tunnel", mechanism: answered, vni: from.vni, peerVni: to.vni, peer };
    },

    async prepare(_connection, side, signal) {
      const to = present(tunnelParameters(side.mechanism).destination, NODE_TUNNEL, "destination");
      await tunnel.use({ address: side.peer, publicKey: to.publicKey, endpoint: to.at && endpointText(to.at), proven: true }, signal);
    },

    ready: (_connection, side, signal) => tunnel.ready(side.peer, signal),
  };
}

function nobodyReachable(): MeshError {
  return new MeshError(
    "unsupported",
    "neither node reaches the other: both have NSM_EXTERNAL_ADDRESS=none; forward a UDP port to the WireGuard port of one of them, and name it there",
  );
}
