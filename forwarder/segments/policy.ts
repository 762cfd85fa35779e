import { createHash } from "node:crypto";
import type { MemberRule, Segment } from "../../api/gen/isthmus/v1/segment.js";
import type { SegmentMember } from "../../core/segment/membership.js";
import { hasLabels, parseMemberPort, selectorsOf } from "../../core/segment/policy.js";
import type { GroupMember, Policy, PolicyRule } from "../../kernel/model.js";
import { behindGroups } from "./announced.js";
import { isL2 } from "./devices.js";

type Labelled = Pick<SegmentMember, "labels" | "addresses" | "announces" | "mac">;
type Described = Pick<Segment, "layer" | "policy">;

/** Members with these labels. Its name follows from them, so that a policy that changes leaves the group as it is. */
interface Group {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** The policy of a segment, where it has one, with what lies behind its members, of this and other nodes. */
export function policyObjects({ layer, policy }: Described, members: readonly Labelled[]): Policy[] {
  if (policy.length === 0) return [];
  const announcing = isL2({ layer }) ? [] : members.filter(({ announces }) => announces.length > 0);
  const behind = behindGroups(announcing.map((member) => ({ prefixes: member.announces, groups: groupsWith(policy, member) })));
  return [{ kind: "policy", layer: isL2({ layer }) ? "l2" : "l3", rules: policy.map(ruleOf), behind }];
}

/** The groups that a member is in, with its MAC address or its addresses. */
export function groupMembers({ layer, policy }: Described, member: Labelled): GroupMember[] {
  const own = isL2({ layer }) ? [member.mac] : member.addresses;
  return groupsWith(policy, member).flatMap((group) => own.map((address): GroupMember => ({ kind: "group-member", group, address })));
}

function groupsWith(policy: readonly MemberRule[], { labels = {} }: Pick<Labelled, "labels">): string[] {
  return groupsOf(policy).flatMap((group) => (hasLabels(group.labels, labels) ? [group.name] : []));
}

/** Asked for each member, and so remembered as long as the policy is. */
const known = new WeakMap<readonly MemberRule[], readonly Group[]>();

function groupsOf(policy: readonly MemberRule[]): readonly Group[] {
  const groups = known.get(policy) ?? distinct(selectorsOf(policy).flatMap((labels) => groupOf(labels) ?? []));
  known.set(policy, groups);
  return groups;
}

function distinct(groups: readonly Group[]): Group[] {
  return [...new Map(groups.map((group) => [group.name, group])).values()];
}

/** Without labels it is everybody, who need no group. */
function groupOf(labels: Readonly<Record<string, string>>): Group | undefined {
  const pairs = Object.entries(labels)
    .map((pair) => pair.join("="))
    .sort();
  if (pairs.length === 0) return undefined;
  return { name: `g${createHash("sha256").update(pairs.join(",")).digest("hex").slice(0, 12)}`, labels };
}

function ruleOf({ from, to, ports }: MemberRule): PolicyRule {
  return {
    ...{ from: groupOf(from)?.name, to: groupOf(to)?.name },
    ...(ports.length === 0 ? {} : { ports: ports.map(parseMemberPort) }),
  };
}
