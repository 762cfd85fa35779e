import { createHash } from "node:crypto";
import type { Policy, PolicyRule, SegmentLayer } from "./model.js";
import { ipText } from "./netlink/ip.js";
import { ends, policyNft, policyPlace } from "./policyGroups.js";
import { isHook, nftText, type RuleText } from "./ruleText.js";

interface NamedSet {
  readonly kind: "set" | "map";
  readonly name: string;
  readonly body: string;
}

/** A map with one element: a digest of the policy that holds. */
export const seal = { set: "policies", key: "lo" } as const;

/** So many flows of UDP are remembered of each family, so long after their last packet. */
const remembered = "size 131072; flags dynamic,timeout; timeout 3m;";
const standing: readonly NamedSet[] = [
  { kind: "map", name: seal.set, body: "type ifname : ipv6_addr;" },
  { kind: "set", name: "flows4", body: `type ipv4_addr . inet_service . ipv4_addr . inet_service; ${remembered}` },
  { kind: "set", name: "flows6", body: `type ipv6_addr . inet_service . ipv6_addr . inet_service; ${remembered}` },
];
const flow = (ip: "ip" | "ip6") => `${ip} saddr . udp sport . ${ip} daddr . udp dport`;
const turned = (ip: "ip" | "ip6") => `${ip} daddr . udp dport . ${ip} saddr . udp sport`;

/** Of TCP, all but what begins a connection. */
const established = "tcp flags & (ack | rst) != 0";

/** What cannot be delivered is always said, or connections would hang. */
const undeliverable4 = "icmp type { destination-unreachable, time-exceeded, parameter-problem } accept";
const errors6 = "destination-unreachable, packet-too-big, time-exceeded, parameter-problem";
const always: Readonly<Record<SegmentLayer, readonly string[]>> = {
  l2: ["ether type arp accept", undeliverable4, `icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, ${errors6} } accept`],
  l3: [undeliverable4, `icmpv6 type { ${errors6} } accept`],
};

/**
 * The table of a policy. Each rule is written for what it lets begin, and the other way round for the answers to that. Those are known by
 * themselves and not by the kernel's connection tracking, which not every kernel has for bridges: of TCP all but what begins a connection,
 * of UDP what goes back where something came from, of ICMP an echo's reply. So a policy that changes holds for what runs by then as well, and
 * what goes on being allowed is not cut. A fragment that is not the first has no ports and is of no use alone: it passes between all whom a
 * rule names together.
 */
export function policyRules(policy: Policy): RuleText {
  const { layer, rules } = policy;
  const paths = rules.map((rule) => ({ rule, there: matches(policy, rule.from, rule.to), back: matches(policy, rule.to, rule.from) }));
  return {
    ...policyNft(layer),
    sets: setsOf(policy)
      .map(({ kind, name, body }) => `${kind} ${name} { ${body} }`)
      .join("\n"),
    chains: {
      going: [`update @flows4 { ${flow("ip")} }`, `update @flows6 { ${flow("ip6")} }`, "accept"],
      begun: [`update @flows4 { ${turned("ip")} }`, `update @flows6 { ${turned("ip6")} }`, "accept"],
      answered: [`${flow("ip")} @flows4 goto going`, `${flow("ip6")} @flows6 goto going`],
      answers: [`${established} accept`, "icmp type echo-reply accept", "icmpv6 type echo-reply accept", "goto answered"],
      fragments: [...new Set(paths.flatMap(({ there, back }) => [...there, ...back]))].map((match) => `${match} accept`.trim()),
      forward: [
        "type filter hook forward priority 10; policy drop;",
        ...always[layer],
        "ip frag-off & 0x1fff != 0 goto fragments",
        "frag frag-off != 0 goto fragments",
        ...paths.flatMap(({ rule, there, back }) => [...there.flatMap(beginning(rule)), ...back.flatMap(answering(rule))]),
      ],
    },
  };
}

/** The whole table in one transaction, with its seal. `stale`: sets in it that go. */
export function policyText(policy: Policy, stale: readonly string[] = []): string {
  const place = policyPlace(policy.layer);
  const gone = stale.map((set) => `delete set ${place} ${set}`);
  return [nftText(policyRules(policy)), ...gone, `flush map ${place} ${seal.set}`, sealed(policy)].join("\n");
}

/** The table by hand, in commands. */
export function policyCommands(policy: Policy): string[] {
  const place = policyPlace(policy.layer);
  const chains = Object.entries(policyRules(policy).chains);
  const hook = ([first = ""]: readonly string[]) => (isHook(first) ? ` { ${first} }` : "");
  return [
    `add table ${place}`,
    ...setsOf(policy).map(({ kind, name, body }) => `add ${kind} ${place} ${name} { ${body} }`),
    ...chains.map(([name, lines]) => `add chain ${place} ${name}${hook(lines)}`),
    ...chains.flatMap(([name, lines]) => lines.filter((line) => !isHook(line)).map((line) => `add rule ${place} ${name} ${line}`)),
    sealed(policy),
  ];
}

/** The sets of the groups that its rules name. */
export function setsOfGroups({ layer, rules }: Pick<Policy, "layer" | "rules">): string[] {
  return groupsOf(rules).flatMap((group) => ends[layer].map(({ suffix }) => `${group}_${suffix}`));
}

/** What holds, in 16 bytes. */
export function sealOf(policy: Policy): Buffer {
  return createHash("sha256")
    .update(JSON.stringify(policyRules(policy)))
    .digest()
    .subarray(0, 16);
}

export function ruleWords({ from = "all", to = "all", ports }: PolicyRule): string {
  return `${from} -> ${to}: ${ports?.map(({ protocol, port }) => `${port}/${protocol}`).join(",") ?? "everything"}`;
}

function sealed(policy: Policy): string {
  return `add element ${policyPlace(policy.layer)} ${seal.set} { ${seal.key} : ${ipText(sealOf(policy))} }`;
}

function setsOf(policy: Policy): NamedSet[] {
  const { layer, rules } = policy;
  const groups = groupsOf(rules).flatMap((group) =>
    ends[layer].map(({ suffix, type }): NamedSet => ({ kind: "set", name: `${group}_${suffix}`, body: `type ${type};` })),
  );
  return [...standing, ...groups];
}

function groupsOf(rules: readonly PolicyRule[]): string[] {
  return [...new Set(rules.flatMap(({ from, to }) => [from ?? [], to ?? []].flat()))];
}

/** How packets from one group to another are told: each of these tells some of them, together all. */
function matches({ layer, behind }: Policy, from: string | undefined, to: string | undefined): string[] {
  if (from === undefined && to === undefined) return [""];
  return ends[layer].flatMap(({ suffix, source, destination }) => {
    const places = (field: string, group: string | undefined) => {
      if (group === undefined) return [""];
      const prefixes = (behind[group] ?? []).filter((prefix) => prefix.includes(":") === (suffix === "6"));
      return [`${field} @${group}_${suffix}`, ...(prefixes.length === 0 ? [] : [`${field} { ${prefixes.join(", ")} }`])];
    };
    return places(source, from).flatMap((one) => places(destination, to).map((other) => `${one} ${other}`.trim()));
  });
}

function beginning({ ports }: PolicyRule): (match: string) => string[] {
  return (match) => [
    ...(ports === undefined ? [`${match} goto begun`] : []),
    ...numbers(ports, "tcp").map((those) => `${match} tcp dport ${those} accept`),
    ...numbers(ports, "udp").map((those) => `${match} udp dport ${those} goto begun`),
  ];
}

function answering({ ports }: PolicyRule): (match: string) => string[] {
  return (match) => [
    ...(ports === undefined ? [`${match} jump answers`] : []),
    ...numbers(ports, "tcp").map((those) => `${match} tcp sport ${those} ${established} accept`),
    ...numbers(ports, "udp").map((those) => `${match} udp sport ${those} jump answered`),
  ];
}

function numbers(ports: PolicyRule["ports"] = [], of: "tcp" | "udp"): string[] {
  const those = ports.filter(({ protocol }) => protocol === of).map(({ port }) => port);
  return those.length === 0 ? [] : [`{ ${those.join(", ")} }`];
}
