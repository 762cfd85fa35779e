import type { BehindHost, SegmentMember } from "../../core/segment/membership.js";
import type { Remote } from "./part.js";

/** All that is told of hosts behind members, and of the members themselves, which counts already. */
export interface ToldBehind {
  /** The SPIFFE id of this node's forwarder. */
  readonly own: string;
  /** This node's members' MAC addresses, and who is behind them. */
  readonly macs: readonly string[];
  readonly behind: readonly BehindHost[];
  readonly remotes: readonly Remote[];
}

interface Word {
  readonly id: string;
  readonly sequence: number;
}

/**
 * The other nodes with those hosts behind their members that count. A member's MAC address is nobody's behind another; of two nodes that say
 * that they have a host, the one that says the higher number does.
 */
export function contestBehind({ own, macs, behind, remotes }: ToldBehind): readonly Remote[] {
  const isQuiet = remotes.every(({ members }) => members.every((member) => member.behind === undefined));
  if (isQuiet) return remotes;
  const known = new Set([...macs, ...remotes.flatMap(({ members }) => members.map(({ mac }) => mac))]);
  const last = new Map<string, Word>();
  const hear = ({ mac, sequence }: BehindHost, id: string) => {
    const other = last.get(mac);
    if (other === undefined || sequence > other.sequence || (sequence === other.sequence && id > other.id)) last.set(mac, { id, sequence });
  };
  for (const host of behind) hear(host, own);
  for (const { id, members } of remotes) for (const member of members) for (const host of member.behind ?? []) hear(host, id);
  const counts = ({ mac }: BehindHost, id: string) => !known.has(mac) && last.get(mac)?.id === id;
  return remotes.map((remote) => {
    const members = remote.members.map((member) => withBehind(member, (host) => counts(host, remote.id)));
    return members.every((member, at) => member === remote.members[at]) ? remote : { ...remote, members };
  });
}

/** The highest number under which other nodes tell of a host; 0: none does. */
export function numberTold(remotes: readonly Remote[], mac: string): number {
  const hosts = remotes.flatMap(({ members }) => members.flatMap(({ behind = [] }) => behind));
  return Math.max(0, ...hosts.flatMap((host) => (host.mac === mac ? [host.sequence] : [])));
}

/** The same member where all of them count. */
export function withBehind(member: SegmentMember, counts: (host: BehindHost) => boolean): SegmentMember {
  const { behind = [], ...rest } = member;
  const left = behind.filter(counts);
  if (left.length === behind.length) return member;
  return left.length === 0 ? rest : { ...rest, behind: left };
}
