import { bridgeChanged, bridgeMade, portJoined } from "./bridgeCommands.js";
import { guardText } from "./guards.js";
import type { Guard, KernelObject, Netns, Port, Rule, Step, VxlanFdb, Where } from "./model.js";
import { anyMac } from "./netlink/fdb.js";
import { canonicalNetwork } from "./netlink/ip.js";
import { gatewaysOf } from "./netlink/route.js";
import type { Ports } from "./netlink/rule.js";
import { groupElement, groupSet, policyPlace } from "./policyGroups.js";
import { policyCommands } from "./policyRules.js";

/** A step as the commands that an operator would type, run in the mesh namespace unless a line says `-n POD`. For logs and golden texts. */
export function commandsOf(step: Step): string[] {
  switch (step.op) {
    case "add":
      return additions(step.value);
    case "replace":
      return replacements(step.value, step.old);
    case "delete":
      return deletions(step.old);
    default:
      return step satisfies never;
  }
}

/** How the object would be made by hand. */
export function additions(value: KernelObject): string[] {
  switch (value.kind) {
    case "bridge":
      return bridgeMade(value);
    case "port": {
      const { name, mtu, mac, podInterface, podMac, alias, pod } = value;
      return [
        `ip link add ${name}${word("address", mac)} mtu ${mtu} type veth peer name ${podInterface} address ${podMac} mtu ${mtu} netns ${pod.path}`,
        ...portJoined(name, value.bridge),
        `ip link set ${name} alias ${alias} up`,
        `ip${inPod(pod)} link set ${podInterface} up`,
        ...localnet(value),
      ];
    }
    case "vxlan": {
      const { name, mtu, mac, vni, local, udpPort, alias } = value;
      const [from, to] = value.madeIn === "mesh" ? ["ip", ""] : ["ip -n NODE", " netns MESH"];
      const data = `id ${vni} local ${local} dstport ${udpPort} nolearning udpcsum`;
      return [
        `${from} link add ${name}${word("address", mac)} mtu ${mtu}${to} type vxlan ${data}`,
        ...portJoined(name, value.bridge),
        `ip link set ${name} alias ${alias} up`,
      ];
    }
    case "vxlan-remote":
      return [`bridge fdb append 00:00:00:00:00:00 dev ${value.device} dst ${value.address} vni ${value.vni}`];
    case "vxlan-fdb":
      return [fdbCommand(value.mac === anyMac ? "append" : "replace", value)];
    case "bridge-fdb":
      return [
        `bridge fdb replace ${value.mac} dev ${value.device} master ${value.yields === true ? "dynamic extern_learn" : "static sticky"}`,
      ];
    case "guard":
      return guardText(value).map((element) => `nft add element bridge isthmus ${element}`);
    case "policy":
      return policyCommands(value).map((command) => `nft ${command}`);
    case "group-member":
      return [...groupSet(value), groupElement("add", value)].map((command) => `nft ${command}`);
    case "wireguard": {
      const { name, mtu, listenPort, alias } = value;
      return [
        `ip -n NODE link add ${name} mtu ${mtu} netns MESH type wireguard`,
        `wg set ${name} listen-port ${listenPort} private-key ${value.privateKeyFile}`,
        `ip link set ${name} alias ${alias} up`,
      ];
    }
    case "wireguard-peer": {
      const endpoint = value.endpoint === undefined ? "" : ` endpoint ${value.endpoint}`;
      const keepalive = value.keepalive === 0 ? "" : ` persistent-keepalive ${value.keepalive}`;
      return [`wg set ${value.device} peer ${value.publicKey} allowed-ips ${value.allowedIps.join(",")}${endpoint}${keepalive}`];
    }
    case "address":
      return [`ip${at(value.where)} address add ${value.address} dev ${value.device}${value.address.includes(":") ? " nodad" : ""}`];
    case "route": {
      const { prefix, device } = value;
      const [first, ...others] = gatewaysOf(value).map((via) => gateway(prefix, via));
      const start = `ip${at(value.where)} route add ${canonicalNetwork(prefix)}`;
      const onlink = first === undefined ? "" : " onlink";
      const rest = `${word("table", value.table)}${word("metric", value.metric)}${word("src", value.source)}${word("mtu", value.mtu)}`;
      if (others.length === 0) return [`${start}${word("via", first)} dev ${device} proto 105${onlink}${rest}`];
      return [`${start} proto 105${rest}${[first, ...others].map((via) => ` nexthop via ${via} dev ${device} onlink`).join("")}`];
    }
    case "rule":
      return [ruleCommand("add", value)];
    case "neighbour":
      return [`ip${at(value.where)} neighbour replace ${value.address} lladdr ${value.mac} dev ${value.device} nud permanent`];
    case "redirect": {
      const head = value.ethernet === undefined ? "" : ` ethernet ${value.ethernet.destination} from ${value.ethernet.source}`;
      return [`tc filter replace dev ${value.from} ingress bpf direct-action redirect ${value.by} ${value.to}${head}`];
    }
    case "vxlan-source":
      return [`nft add element inet isthmus sources${value.source.includes(":") ? "6" : "4"} { ${value.source} . ${value.vni} }`];
    default:
      return value satisfies never;
  }
}

function replacements(value: KernelObject, old: KernelObject): string[] {
  if (value.kind === "port" && old.kind === "port" && value.pod.cookie === old.pod.cookie) {
    const { name, alias, mtu, mac, podInterface, podMac, pod, bridge } = value;
    const renamed = old.podInterface === podInterface ? [] : [`ip${inPod(pod)} link set ${old.podInterface} name ${podInterface}`];
    return [
      ...(bridge === undefined && old.bridge !== undefined ? [`ip link set ${name} nomaster`] : portJoined(name, bridge)),
      `ip link set ${name} alias ${alias}${word("address", mac)} mtu ${mtu} up`,
      ...renamed,
      `ip${inPod(pod)} link set ${podInterface} address ${podMac} mtu ${mtu} up`,
      ...localnet(value),
    ];
  }
  if (value.kind === "bridge") return bridgeChanged(value);
  if (value.kind === "vxlan-remote") return [...additions(value), ...deletions(old)];
  if (value.kind === "route") return additions(value).map((line) => line.replace("route add", "route replace"));
  if (value.kind === "redirect" || value.kind === "neighbour" || value.kind === "wireguard-peer" || value.kind === "vxlan-fdb")
    return additions(value);
  if (value.kind === "wireguard") return additions(value).slice(1);
  if (value.kind === "policy") return [`nft flush table ${policyPlace(value.layer)}`, ...additions(value)];
  return [...deletions(old), ...additions(value)];
}

/** By hand one would write the pod's setting. */
function localnet({ podInterface, routeLocalnet }: Port): string[] {
  return routeLocalnet === undefined ? [] : [`sysctl net.ipv4.conf.${podInterface}.route_localnet=${Number(routeLocalnet)}`];
}

function deletions(old: KernelObject): string[] {
  return old.kind === "guard" ? guardText(old).map((element) => `nft delete element bridge isthmus ${element}`) : [deletion(old)];
}

function deletion(old: Exclude<KernelObject, Guard>): string {
  switch (old.kind) {
    case "bridge":
    case "port":
    case "vxlan":
    case "wireguard":
      return `ip link delete ${old.name}`;
    case "vxlan-remote":
      return `bridge fdb delete 00:00:00:00:00:00 dev ${old.device} dst ${old.address} vni ${old.vni}`;
    case "vxlan-fdb":
      return fdbCommand("delete", old);
    case "bridge-fdb":
      return `bridge fdb delete ${old.mac} dev ${old.device} master`;
    case "wireguard-peer":
      return `wg set ${old.device} peer ${old.publicKey} remove`;
    case "address":
      return `ip${at(old.where)} address delete ${old.address} dev ${old.device}`;
    case "route":
      return `ip${at(old.where)} route delete ${canonicalNetwork(old.prefix)} dev ${old.device} proto 105${word("table", old.table)}${word("metric", old.metric)}`;
    case "rule":
      return ruleCommand("delete", old);
    case "neighbour":
      return `ip${at(old.where)} neighbour delete ${old.address} dev ${old.device}`;
    case "policy":
      return `nft delete table ${policyPlace(old.layer)}`;
    case "group-member":
      return `nft ${groupElement("delete", old)}`;
    case "redirect":
      return `tc filter delete dev ${old.from} ingress`;
    case "vxlan-source":
      return `nft delete element inet isthmus sources${old.source.includes(":") ? "6" : "4"} { ${old.source} . ${old.vni} }`;
    default:
      return old satisfies never;
  }
}

function fdbCommand(verb: "append" | "replace" | "delete", { device, mac, address, vni }: VxlanFdb): string {
  return `bridge fdb ${verb} ${mac} dev ${device} dst ${address} vni ${vni}`;
}

function ruleCommand(verb: "add" | "delete", rule: Rule): string {
  const { family, from, protocol, sourcePorts, destinationPorts, table, priority } = rule;
  const ports = (range: Ports | undefined) => range && `${range.first}-${range.last}`;
  const what = `${word("from", from)}${word("ipproto", protocol)}${word("sport", ports(sourcePorts))}${word("dport", ports(destinationPorts))}`;
  return `ip -${family}${inPod(rule.where)} rule ${verb} pref ${priority}${what} table ${table} protocol 105`;
}

function at(where: Where): string {
  return where === "mesh" ? "" : inPod(where);
}

function inPod(pod: Netns): string {
  return ` -n ${pod.path.replace(/^\/run\/netns\//, "")}`;
}

/** A gateway of the other family is named with its own. */
function gateway(prefix: string, via: string): string {
  return prefix.includes(":") || !via.includes(":") ? via : `inet6 ${via}`;
}

function word(name: string, value: string | number | undefined): string {
  return value === undefined ? "" : ` ${name} ${value}`;
}
