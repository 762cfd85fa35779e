import { formatUrl, hostAndPort } from "../../rpc/url.js";
import { usage } from "../errors.js";
import type { LabPlan, NodePlan, SitePlan, SiteWish, Underlay } from "./layout.js";

/** What a site's router lets in from outside: the control plane and the tunnels, the control plane alone, or nothing. */
const natKinds = ["open", "control", "closed"] as const;
type NatKind = (typeof natKinds)[number];

/** A router that translates addresses. */
export interface NatPlan {
  readonly kind: NatKind;
  /** As which the whole site is seen from outside. */
  readonly address: string;
}

/** Ports in the lab: of the programs, and of the routers for each node by its number. */
export const ports = { nsmgr: 5001, registry: 5002, tunnel: 51820 } as const;
const outside = { nsmgr: 6000, tunnel: 52_000 } as const;

/** `tokyo` or `tokyo=control,lima=closed`: those sites with what their routers let in. */
export function withNat(sites: readonly SiteWish[], text: string): SiteWish[] {
  const kinds = new Map(text.split(",").map((word) => parse(word.trim(), sites)));
  const closed = [...kinds].filter(([, kind]) => kind === "closed").map(([name]) => name);
  if (closed.length > 1) throw usage(`--nat: ${closed.join(" and ")} are closed, so neither could join the other; close one at most`);
  return sites.map((site) => {
    const nat = kinds.get(site.name);
    return nat === undefined ? site : { ...site, nat };
  });
}

function parse(word: string, sites: readonly SiteWish[]): readonly [string, NatKind] {
  const [, name = "", text = "open"] = /^([^=]*)(?:=(.*))?$/.exec(word) ?? [];
  if (!sites.some((site) => site.name === name))
    throw usage(`--nat takes sites of --sites (${sites.map((site) => site.name).join(", ")}), got "${name}"`);
  const kind = natKinds.find((one) => one === text);
  if (kind === undefined) throw usage(`--nat ${name} takes ${natKinds.join(", ")}, got "${text}"`);
  return [name, kind];
}

/** The router of the site of that number. Its address is one of no LAN: 10.100.0.(1+N) or fd00:100::(1+N). */
export function natPlan(kind: NatKind | undefined, at: number, underlay: Underlay): { readonly nat?: NatPlan } {
  if (kind === undefined) return {};
  return { nat: { kind, address: underlay === 4 ? `10.100.0.${1 + at}` : `fd00:100::${(1 + at).toString(16)}` } };
}

/** NSM_FEDERATION_URLS of a site's registry, and NSM_EXTERNAL_ADDRESS of a node's programs, as far as they need them. */
export function registryOutside(site: Pick<SitePlan, "nat" | "registryNodes"> | undefined): Record<string, string> {
  if (site?.nat === undefined || site.nat.kind === "closed") return {};
  const { address: host } = site.nat;
  const urls = site.registryNodes.map((_, number) => formatUrl({ kind: "tcp", host, port: ports.registry + number }));
  return { NSM_FEDERATION_URLS: urls.join(",") };
}

export function outsideOf(lab: Pick<LabPlan, "sites" | "nodes">, node: NodePlan, program: "nsmgr" | "forwarder"): Record<string, string> {
  const nat = lab.sites.find(({ name }) => name === node.site)?.nat;
  if (nat === undefined) return {};
  const mapped = mappedPorts(lab, node);
  const isOpen = nat.kind === "open" || (nat.kind === "control" && program === "nsmgr");
  const port = program === "nsmgr" ? mapped.nsmgr : mapped.tunnel;
  return { NSM_EXTERNAL_ADDRESS: isOpen ? hostAndPort({ host: nat.address, port }) : "none" };
}

function mappedPorts({ nodes }: Pick<LabPlan, "nodes">, node: NodePlan): { readonly nsmgr: number; readonly tunnel: number } {
  const number = 1 + nodes.filter(({ site }) => site === node.site).findIndex(({ name }) => name === node.name);
  return { nsmgr: outside.nsmgr + number, tunnel: outside.tunnel + number };
}

/** What the routers of a lab do, for nftables in the WAN's namespace; "" where none translates. */
export function natRules(plan: LabPlan): string {
  const routers = plan.sites.flatMap((site) => (site.nat === undefined ? [] : [{ ...site, nat: site.nat }]));
  if (routers.length === 0) return "";
  const ip = plan.underlay === 4 ? "ip" : "ip6";
  const inward = routers.flatMap((site) =>
    forwards(plan, site).map(({ kind, port, to }) => `${ip} daddr ${site.nat.address} ${kind} dport ${port} dnat ${ip} to ${to}`),
  );
  // As home routers do it: another port for each flow, so that nobody can guess it.
  const outward = routers.map(({ bridge, nat }) => `iifname "${bridge}" oifname != "${bridge}" snat ${ip} to ${nat.address} fully-random`);
  const through = routers.map(({ bridge }) => `iifname != "${bridge}" oifname "${bridge}" ct state new ct status and dnat != dnat drop`);
  const chain = (name: string, hook: string, rules: readonly string[]) => `chain ${name} { ${[hook, ...rules].join("; ")}; }`;
  return `table inet nat {
  ${chain("in", "type nat hook prerouting priority dstnat", inward)}
  ${chain("out", "type nat hook postrouting priority srcnat", outward)}
  ${chain("through", "type filter hook forward priority filter", through)}
}`;
}

function forwards(plan: LabPlan, site: SitePlan): { readonly kind: "tcp" | "udp"; readonly port: number; readonly to: string }[] {
  const { nat, registryNodes } = site;
  if (nat === undefined || nat.kind === "closed") return [];
  return plan.nodes
    .filter((node) => node.site === site.name)
    .flatMap((node) => {
      const mapped = mappedPorts(plan, node);
      const registry = registryNodes.indexOf(node.name);
      const to = (port: number) => hostAndPort({ host: node.address, port });
      return [
        { kind: "tcp" as const, port: mapped.nsmgr, to: to(ports.nsmgr) },
        ...(registry >= 0 ? [{ kind: "tcp" as const, port: ports.registry + registry, to: to(ports.registry) }] : []),
        ...(nat.kind === "open" ? [{ kind: "udp" as const, port: mapped.tunnel, to: to(ports.tunnel) }] : []),
      ];
    });
}
