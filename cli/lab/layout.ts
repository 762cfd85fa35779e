import { usage } from "../errors.js";
import { type NatPlan, natPlan } from "./nat.js";
import { type EtcdName, type EtcdPlan, placeEtcd } from "./stores.js";

/** The programs of ours, in the order in which they start. */
export const programNames = ["registry", "nsmgr", "forwarder"] as const;
export type OwnProgram = (typeof programNames)[number];
export type ProgramName = OwnProgram | EtcdName;
export type Underlay = 4 | 6;

/** A site to raise: its name and how many nodes it has; and registries, one unless given, and etcd members, none unless given. */
export interface SiteWish {
  readonly name: string;
  readonly nodes: number;
  readonly registries?: number;
  readonly etcdMembers?: number;
  readonly nat?: NatPlan["kind"];
}

/** A LAN of `PREFIX-wan`: a bridge with the gateway's address. */
export interface SitePlan {
  readonly name: string;
  readonly bridge: string;
  /** With length, as `10.101.0.1/24`. */
  readonly gateway: string;
  /** Where its registries run. */
  readonly registryNodes: readonly string[];
  /** In which its registries keep their data; empty where they do so themselves. */
  readonly etcd: readonly EtcdPlan[];
  /** What its registries' authority signs for. */
  readonly trustDomain: string;
  /** Its router, where that translates addresses; else it only routes. */
  readonly nat?: NatPlan;
}

/** A node: a network namespace with one link to its site's LAN. */
export interface NodePlan {
  readonly name: string;
  readonly site: string;
  readonly namespace: string;
  readonly mesh: string;
  /** Without length. */
  readonly address: string;
  readonly length: number;
  readonly gateway: string;
  /** Its link's other end, a port of the site's bridge. */
  readonly port: string;
}

/** All of a lab, as names and numbers, before anything is made. */
export interface LabPlan {
  readonly prefix: string;
  readonly underlay: Underlay;
  readonly wan: string;
  readonly sites: readonly SitePlan[];
  readonly nodes: readonly NodePlan[];
}

const dnsLabel = /^[a-z]([-a-z0-9]{0,30}[a-z0-9])?$/;
const maxSites = 100;
const maxNodes = 200;

/** `paris=2,tokyo=1`; a name alone is one node. */
export function parseSites(text: string): SiteWish[] {
  const sites = text.split(",").map((word) => parseSite(word.trim()));
  const taken = new Set<string>();
  for (const { name, nodes } of sites) {
    for (const used of [name, ...numbered(name, nodes)]) {
      if (taken.has(used)) throw usage(`--sites names "${used}" twice; every site and node needs a name of its own`);
      taken.add(used);
    }
  }
  if (sites.length > maxSites) throw usage(`--sites takes at most ${maxSites} sites, got ${sites.length}`);
  return sites;
}

function parseSite(word: string): SiteWish {
  const [, name = "", count = "1"] = /^([^=]*)(?:=(.*))?$/.exec(word) ?? [];
  if (!dnsLabel.test(name))
    throw usage(`--sites takes names of lower-case letters, digits and dashes, at most 32 long, such as paris=2, got "${word}"`);
  if (name === "wan" || name === "pod" || name.startsWith("pod-"))
    throw usage(`"${name}" cannot be a site's name: the lab has a namespace of that name; take another`);
  const nodes = Number(count);
  if (!/^\d{1,3}$/.test(count) || nodes < 1 || nodes > maxNodes) throw usage(`--sites ${name} needs 1..${maxNodes} nodes, got "${count}"`);
  return { name, nodes };
}

/** A prefix becomes part of namespaces, folders and socket paths. */
export function parsePrefix(text: string): string {
  if (!/^[a-z0-9]([-a-z0-9]{0,18}[a-z0-9])?$/.test(text))
    throw usage(`--prefix takes lower-case letters, digits and dashes, at most 20, got "${text}"`);
  return text;
}

/** A pod's name becomes part of a namespace's name. */
export function parsePodName(text: string): string {
  if (!/^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$/.test(text))
    throw usage(`a pod's name is made of lower-case letters, digits, dashes and dots, at most 63, got "${text}"`);
  return text;
}

/** Names and addresses of everything. Site N has 10.(100+N).0.0/24 or fd00:(100+N)::/64, node K is .(10+K), the gateway .1. */
export function layout(prefix: string, underlay: Underlay, wishes: readonly SiteWish[]): LabPlan {
  const sites = wishes.map((wish, at): SitePlan => {
    const net = network(underlay, at);
    const { name, registries = 1, etcdMembers = 0 } = wish;
    const nodes = numbered(name, wish.nodes);
    return {
      ...{ name, bridge: linkName(`lan-${name}`, `lan-${at}`), gateway: `${net.host(1)}/${net.length}` },
      ...{ registryNodes: nodes.slice(0, registries), etcd: placeEtcd(nodes, etcdMembers), trustDomain: `${name}.${prefix}.lab` },
      ...natPlan(wish.nat, at, underlay),
    };
  });
  const nodes = wishes.flatMap((wish, at) => {
    const net = network(underlay, at);
    return numbered(wish.name, wish.nodes).map(
      (name, index): NodePlan => ({
        name,
        site: wish.name,
        namespace: `${prefix}-${name}`,
        mesh: `${prefix}-${name}-mesh`,
        address: net.host(11 + index),
        length: net.length,
        gateway: net.host(1),
        port: linkName(name, `node-${at}-${index}`),
      }),
    );
  });
  return { prefix, underlay, wan: `${prefix}-wan`, sites, nodes };
}

/** The namespace of a lab's pod. */
export function podNamespace(prefix: string, pod: string): string {
  return `${prefix}-pod-${pod}`;
}

function numbered(site: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${site}-${index + 1}`);
}

function network(underlay: Underlay, at: number): { host(n: number): string; readonly length: number } {
  return underlay === 4 ? { host: (n) => `10.${101 + at}.0.${n}`, length: 24 } : { host: (n) => `fd00:${101 + at}::${n}`, length: 64 };
}

function linkName(wanted: string, short: string): string {
  return wanted.length <= 15 ? wanted : short;
}
