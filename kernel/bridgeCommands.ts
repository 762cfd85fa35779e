import { clampText } from "./clamp.js";
import type { Bridge, BridgePort } from "./model.js";

/** How a bridge would be made by hand. */
export function bridgeMade(bridge: Bridge): string[] {
  const { name, mac, alias, mtu } = bridge;
  return [
    `ip link add ${name} address ${mac} type ${settings(bridge)} vlan_default_pvid 0`,
    `ip link set ${name} alias ${alias} mtu ${mtu} up`,
    `sysctl -w net.ipv6.conf.${name}.disable_ipv6=0`,
    ...clamped(mtu),
  ];
}

/** How one that is there would be set right. */
export function bridgeChanged(bridge: Bridge): string[] {
  const { name, mac, alias, mtu } = bridge;
  return [
    `ip link set ${name} type ${settings(bridge)}`,
    `ip link set ${name} alias ${alias} address ${mac} mtu ${mtu} up`,
    ...clamped(mtu),
  ];
}

/** How a device would become a port. */
export function portJoined(name: string, port: BridgePort | undefined): string[] {
  if (port === undefined) return [];
  const on = (value: boolean): string => (value ? "on" : "off");
  const learns = `flood ${on(port.flood)} learning ${on(port.learning)} neigh_suppress ${on(port.neighSuppress)}`;
  return [
    `ip link set ${name} master ${port.bridge}`,
    `bridge link set dev ${name} ${learns} isolated ${on(port.isolated)} mcast_router ${port.multicastRouter ? 2 : 1}`,
  ];
}

function clamped(mtu: number): string[] {
  return ["nft flush map bridge isthmus sizes", `nft add element bridge isthmus sizes ${clampText(mtu)}`];
}

function settings({ multicastSnooping, querier }: Bridge): string {
  const multicast = `mcast_snooping ${Number(multicastSnooping)} mcast_querier ${Number(querier)}`;
  return `bridge stp_state 0 ${multicast} nf_call_iptables 0 nf_call_ip6tables 0 nf_call_arptables 0`;
}
