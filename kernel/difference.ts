import type { KernelObject, Where, WireguardPeer } from "./model.js";
import { anyMac } from "./netlink/fdb.js";
import { canonicalAddress, canonicalIp, canonicalNetwork } from "./netlink/ip.js";
import type { Ports } from "./netlink/rule.js";

/** What an object is known by. Two objects with one key are two states of one thing. */
export function keyOf(object: KernelObject): string {
  switch (object.kind) {
    case "port":
    case "vxlan":
    case "wireguard":
      return `${object.kind} ${object.name}`;
    case "vxlan-remote":
      return `vxlan-remote ${object.device}`;
    case "vxlan-fdb": {
      const { device, mac } = object;
      // Only of these a device may have several.
      return `vxlan-fdb ${device} ${mac.toLowerCase()}${mac === anyMac ? ` ${canonicalIp(object.address)} ${object.vni}` : ""}`;
    }
    case "wireguard-peer":
      return `wireguard-peer ${object.device} ${object.publicKey}`;
    case "address":
      return `address ${place(object)} ${canonicalAddress(object.address)}`;
    case "route":
      return `route ${place(object)} ${canonicalNetwork(object.prefix)}${object.table === undefined ? "" : ` table ${object.table}`}`;
    case "rule":
      return `rule ${place(object)} IPv${object.family} table ${object.table}`;
    case "neighbour":
      return `neighbour ${place(object)} ${canonicalIp(object.address)}`;
    case "redirect":
      return `redirect ${object.from}`;
    case "vxlan-source":
      return `vxlan-source ${canonicalIp(object.source)} ${object.vni}`;
    default:
      return object satisfies never;
  }
}

/** Whether `found` is what is wanted. What the kernel may change by itself (a peer's endpoint) does not count. */
export function same(wanted: KernelObject, found: KernelObject): boolean {
  return difference(wanted, found) === "";
}

/** What differs, in words for a log, as `mtu is 1500, wanted 1400`; "" when nothing does. Names no key. */
export function difference(wanted: KernelObject, found: KernelObject): string {
  if (keyOf(wanted) !== keyOf(found)) return `it is ${keyOf(found)}, wanted ${keyOf(wanted)}`;
  const [right, real] = [traits(wanted, wanted), traits(found, wanted)];
  const words = Object.keys({ ...right, ...real })
    .filter((name) => right[name] !== real[name])
    .map((name) => `${name} is ${real[name] ?? "not set"}, wanted ${right[name] ?? "none"}`);
  const fault = "fault" in found ? found.fault : undefined;
  return [...(fault === undefined ? [] : [fault]), ...words].join("; ");
}

type Traits = Readonly<Record<string, string | number | undefined>>;

/** What counts of an object beside its key, in canonical form. */
function traits(object: KernelObject, wanted: KernelObject): Traits {
  switch (object.kind) {
    case "port": {
      const { alias, podInterface, mtu } = object;
      const routeLocalnet =
        wanted.kind === "port" && wanted.routeLocalnet !== undefined ? String(object.routeLocalnet ?? false) : undefined;
      const mac = ownMac(object, wanted);
      return { alias, podInterface, mtu, routeLocalnet, mac, namespace: object.pod.cookie, podMac: object.podMac.toLowerCase() };
    }
    case "vxlan": {
      const { alias, vni, udpPort, madeIn, mtu } = object;
      return { alias, vni, udpPort, madeIn, mtu, mac: ownMac(object, wanted), local: canonicalIp(object.local) };
    }
    case "vxlan-remote":
    case "vxlan-fdb":
      return { address: canonicalIp(object.address), vni: object.vni };
    case "wireguard": {
      const { alias, listenPort, publicKey, mtu } = object;
      return { alias, listenPort, publicKey, mtu };
    }
    case "wireguard-peer":
      return { keepalive: object.keepalive, allowedIps: allowed(object.allowedIps), endpoint: endpoint(object, wanted) };
    case "route": {
      const { via, source, mtu } = object;
      return { via: via && canonicalIp(via), source: source && canonicalIp(source), mtu };
    }
    case "rule": {
      const { priority, protocol, from, sourcePorts, destinationPorts } = object;
      return {
        priority,
        protocol,
        from: from && canonicalNetwork(from),
        sourcePorts: ports(sourcePorts),
        destinationPorts: ports(destinationPorts),
      };
    }
    case "neighbour":
      return { mac: object.mac.toLowerCase() };
    case "redirect": {
      const { to, by, ethernet } = object;
      return { to, by, ethernet: ethernet && `${ethernet.destination} from ${ethernet.source}`.toLowerCase() };
    }
    case "address":
    case "vxlan-source":
      return {};
    default:
      return object satisfies never;
  }
}

/** What is not wanted does not count. */
function ownMac(object: { mac?: string | undefined }, wanted: KernelObject): string | undefined {
  return "mac" in wanted && wanted.mac !== undefined ? object.mac?.toLowerCase() : undefined;
}

function ports(range: Ports | undefined): string | undefined {
  return range && `${range.first}-${range.last}`;
}

function allowed(cidrs: readonly string[]): string {
  return cidrs.map(canonicalNetwork).sort().join(" ");
}

/** Peers move, so only a missing endpoint counts. */
function endpoint(peer: WireguardPeer, wanted: KernelObject): string | undefined {
  if (wanted.kind !== "wireguard-peer" || wanted.endpoint === undefined) return undefined;
  return peer.endpoint === undefined ? undefined : "set";
}

function place(on: { where: Where; device: string }): string {
  return `${on.where === "mesh" ? "mesh" : `netns:${on.where.cookie}`} ${on.device}`;
}
