import type { GroupMember, SegmentLayer } from "./model.js";
import { ipBytes, ipText, macBytes, macText } from "./netlink/ip.js";
import type { NftElement, NftTable } from "./nftElements.js";

const families = { l2: "bridge", l3: "inet" } as const;
const table = "isthmus-policy";

/** How a packet's ends are told: by which fields, and by which kind of set. */
export interface Ends {
  readonly suffix: "4" | "6" | "mac";
  readonly type: string;
  readonly source: string;
  readonly destination: string;
}

const byMac: Ends = { suffix: "mac", type: "ether_addr", source: "ether saddr", destination: "ether daddr" };
const by4: Ends = { suffix: "4", type: "ipv4_addr", source: "ip saddr", destination: "ip daddr" };
const by6: Ends = { suffix: "6", type: "ipv6_addr", source: "ip6 saddr", destination: "ip6 daddr" };
export const ends: Readonly<Record<SegmentLayer, readonly Ends[]>> = { l2: [byMac], l3: [by4, by6] };

/** A group has a set for each way to tell ends. */
const groupSetName = /^(g[0-9a-f]{12})_(4|6|mac)$/;

/** The table that a policy and its groups have to themselves. */
export function policyNft(layer: SegmentLayer): NftTable & { readonly family: NonNullable<NftTable["family"]> } {
  return { family: families[layer], table };
}

/** As commands name it. */
export function policyPlace(layer: SegmentLayer): string {
  return `${families[layer]} ${table}`;
}

/** Makes the set in which a member is, where there is none. */
export function groupSet({ group, address }: GroupMember): string[] {
  const { suffix, type } = endsOf(address);
  const place = policyPlace(suffix === "mac" ? "l2" : "l3");
  return [`add table ${place}`, `add set ${place} ${group}_${suffix} { type ${type}; }`];
}

/** The command that takes a member in, or out. */
export function groupElement(verb: "add" | "delete", { group, address }: GroupMember): string {
  const { suffix } = endsOf(address);
  return `${verb} element ${policyPlace(suffix === "mac" ? "l2" : "l3")} ${group}_${suffix} { ${address} }`;
}

/** The element of a set that a member is. */
export function elementOf({ group, address }: GroupMember): NftElement {
  const { suffix } = endsOf(address);
  const isMac = suffix === "mac";
  return { set: { ...policyNft(isMac ? "l2" : "l3"), set: `${group}_${suffix}` }, key: isMac ? macBytes(address) : ipBytes(address) };
}

/** Whether a set is one of a group's. */
export function isGroupSet(set: string): boolean {
  return groupSetName.test(set);
}

/** The member that an element of a group's set is. */
export function memberIn(set: string, key: Buffer): GroupMember {
  const [, group = "", suffix] = groupSetName.exec(set) ?? [];
  return { kind: "group-member", group, address: suffix === "mac" ? macText(key) : ipText(key) };
}

/** MAC addresses are in groups on L2, IP addresses on L3. */
function endsOf(address: string): Ends {
  return address.includes(":") ? (address.length === 17 && /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(address) ? byMac : by6) : by4;
}
