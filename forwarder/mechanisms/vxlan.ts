import ipaddr from "ipaddr.js";
import type { Connection, Mechanism } from "../../api/gen/connection/connection.js";
import type { Call } from "../../core/chain.js";
import { MeshError } from "../../core/error.js";
import { ETHERNET, preferred, REMOTE, VXLAN, vxlanMechanism, vxlanParameters } from "../../core/mechanism.js";
import { type Claims, claimVni, vniClaim } from "../claims.js";
import type { VxlanSide } from "../crossConnect.js";
import { lower, vxlanOverhead } from "../mtu.js";
import { type OwnEnd, present, type Underlay } from "./ends.js";
import type { Way } from "./mechanism.js";

/** NSM's plain VXLAN between underlay addresses: payload ETHERNET, and only where somebody asked for plain text by name. */
export function vxlanWay(parts: {
  readonly claims: Claims;
  readonly underlay: Underlay;
  readonly own: OwnEnd;
  readonly port: number;
  readonly allowPlain: boolean;
}): Way<VxlanSide> {
  const { claims, underlay, port } = parts;
  const mtu = underlay.mtu - vxlanOverhead(underlay.ip);
  const own = (connection: Connection) => parts.own.at(connection, port) ?? { ip: underlay.ip, port };

  const side = (mechanism: Mechanism, vni: number, remote: { ip: string; port: number }): VxlanSide => {
    // One entry of a VXLAN device's table goes to the device's own port.
    if (remote.port !== port) throw new MeshError("unsupported", `VXLAN at ${remote.ip} uses port ${remote.port}, this node ${port}`);
    return { kind: "vxlan", mechanism, vni, udpPort: port, local: underlay.ip, remote: remote.ip };
  };

  return {
    type: VXLAN,
    cls: REMOTE,
    kind: "vxlan",
    refusal(connection) {
      if (connection.payload !== ETHERNET) return "vxlan carries payload ETHERNET only";
      if (!parts.own.isReached(connection)) return "vxlan needs a node that is reached from outside (NSM_EXTERNAL_ADDRESS)";
      if (parts.allowPlain || preferred(connection) === "vxlan") return undefined;
      return "vxlan is not encrypted; ask for it by name, or allow it on this node (NSM_ALLOW_PLAIN=true)";
    },

    async accept(call: Call, asked: Mechanism, before) {
      const parameters = vxlanParameters(asked);
      const from = present(parameters.source, VXLAN, "source");
      const here = own(call.connection);
      const vni = before?.vni ?? claimVni(claims, "vxlan", call.connection.id, parity(from.ip, here.ip));
      const mechanism = vxlanMechanism({ source: from, destination: here, vni, mtu: lower(parameters.mtu, mtu) }, asked);
      return side(mechanism, vni, from);
    },

    offer: async ({ connection }, _before) => vxlanMechanism({ source: own(connection), destination: undefined, vni: 0, mtu }),

    async take(answer: Connection, answered: Mechanism) {
      const { destination, vni } = vxlanParameters(answered);
      const to = present(destination, VXLAN, "destination");
      if (!claims.take(vniClaim("vxlan", vni), answer.id)) {
        throw new MeshError("conflict", `the other side chose VNI ${vni}, which another connection of this node has; ask again`);
      }
      return side(answered, vni, to);
    },
  };
}

/** NSM's rule, so that two directions never collide: even where the asking side's address is not the greater one. */
function parity(source: string, destination: string): 0 | 1 {
  const [a, b] = [source, destination].map((text) => Buffer.from(ipaddr.process(text).toByteArray()));
  return a === undefined || b === undefined || Buffer.compare(a, b) <= 0 ? 0 : 1;
}
