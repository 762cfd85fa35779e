import type { BridgePort, KernelObject, Route, Where, WireguardPeer } from "./model.js";
import { anyMac } from "./netlink/fdb.js";
import { canonicalAddress, canonicalIp, canonicalNetwork, linkLocalOf } from "./netlink/ip.js";
import { gatewaysOf } from "./netlink/route.js";
import type { Ports } from "./netlink/rule.js";
import { ruleWords } from "./policyRules.js";

/** What an object is known by. Two objects with one key are two states of one thing. */
export function keyOf(object: KernelObject): string {
  switch (object.kind) {
    case "bridge":
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
    case "bridge-fdb":
      return `bridge-fdb ${object.device} ${object.mac.toLowerCase()}`;
    case "guard":
      return `guard ${object.device}`;
    case "policy":
      return "policy";
    case "group-member":
      return `group-member ${object.group} ${canonicalIp(object.address).toLowerCase()}`;
    case "wireguard-peer":
      return `wireguard-peer ${object.device} ${object.publicKey}`;
    case "address":
      return `address ${place(object)} ${canonicalAddress(object.address)}`;
    case "route":
      return `route ${place(object)} ${routeText(object)}`;
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
  const pair = { wanted, found };
  const [right, real] = [traits(wanted, pair), traits(found, pair)];
  const words = Object.keys({ ...right, ...real })
    .filter((name) => right[name] !== real[name])
    .map((name) => `${name} is ${real[name] ?? "not set"}, wanted ${right[name] ?? "none"}`);
  const fault = "fault" in found ? found.fault : undefined;
  return [...(fault === undefined ? [] : [fault]), ...words].join("; ");
}

type Traits = Readonly<Record<string, string | number | undefined>>;

interface Pair {
  readonly wanted: KernelObject;
  readonly found: KernelObject;
}

/** What counts of an object beside its key, in canonical form. It is one of the two. */
function traits(object: KernelObject, pair: Pair): Traits {
  const { wanted } = pair;
  switch (object.kind) {
    case "bridge": {
      const { alias, mtu, multicastSnooping, querier } = object;
      return { alias, mtu, mac: object.mac.toLowerCase(), multicastSnooping: String(multicastSnooping), querier: String(querier) };
    }
    case "port": {
      const { alias, podInterface, mtu } = object;
      const routeLocalnet =
        wanted.kind === "port" && wanted.routeLocalnet !== undefined ? String(object.routeLocalnet ?? false) : undefined;
      const mac = ownMac(object, wanted);
      return {
        alias,
        podInterface,
        mtu,
        routeLocalnet,
        mac,
        namespace: object.pod.cookie,
        podMac: object.podMac.toLowerCase(),
        ...asPort(object, pair),
      };
    }
    case "vxlan": {
      const { alias, vni, udpPort, madeIn, mtu } = object;
      return { alias, vni, udpPort, madeIn, mtu, mac: ownMac(object, wanted), local: canonicalIp(object.local), ...asPort(object, pair) };
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
      const { source, mtu } = object;
      const gateways = gatewaysOf(object);
      return { via: gateways.length === 0 ? undefined : gateways.join(" "), source: source && canonicalIp(source), mtu };
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
    case "guard": {
      const { mac, addresses, spoofing } = object;
      return { mac: mac.toLowerCase(), addresses: guarded(addresses, wanted), spoofing: String(spoofing) };
    }
    case "bridge-fdb":
      return { yields: String(object.yields ?? false) };
    case "policy": {
      const behind = Object.entries(object.behind).map(([group, prefixes]) => `${group} ${[...prefixes].sort().join(",")}`);
      return { layer: object.layer, rules: object.rules.map(ruleWords).join("; "), behind: behind.sort().join(" ") };
    }
    case "address":
    case "group-member":
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

/** What it does as a port counts only in the same bridge. */
function asPort(object: { bridge?: BridgePort | undefined }, { wanted, found }: Pair): Traits {
  const { bridge, ...rest } = object.bridge ?? { bridge: undefined };
  if (bridgeOf(wanted) !== bridgeOf(found)) return { bridge };
  return { bridge, ...Object.fromEntries(Object.entries(rest).map(([name, on]) => [name, String(on)])) };
}

function bridgeOf(object: KernelObject): string | undefined {
  return "bridge" in object ? object.bridge?.bridge : undefined;
}

/** The link-local address that follows from the MAC address goes without saying. */
function guarded(addresses: readonly string[], wanted: KernelObject): string {
  const own = wanted.kind === "guard" ? linkLocalOf(wanted.mac) : "";
  return addresses
    .map(canonicalIp)
    .filter((address) => address !== own)
    .sort()
    .join(" ");
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

/** What a table has one of, whatever it is over. */
export function routeText({ prefix, table, metric }: Route): string {
  const of = (name: string, value: number | undefined) => (value === undefined ? "" : ` ${name} ${value}`);
  return `${canonicalNetwork(prefix)}${of("table", table)}${of("metric", metric)}`;
}
