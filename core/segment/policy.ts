import type { MemberRule, Segment } from "../../api/gen/isthmus/v1/segment.js";
import { MeshError } from "../error.js";

type Labels = Readonly<Record<string, string>>;

/** What a rule lets through besides the members: all that goes to a port. */
export interface MemberPort {
  readonly protocol: "tcp" | "udp";
  readonly port: number;
}

/** Of one policy, and of one of its rules, so much at the most. */
const most = { rules: 64, ports: 16, labels: 8 };
/** A policy knows members by so many keys: each member's values of them are told to every node. */
export const mostKeys = 16;
const labelPart = /^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$/;

/** Throws "invalid" with which rule, what and what is allowed. */
export function checkPolicy({ name, policy }: Pick<Segment, "name" | "policy">): void {
  if (policy.length > most.rules)
    throw invalid(`the policy of the segment ${name} has ${policy.length} rules; at most ${most.rules} are taken`);
  for (const [at, { from, to, ports }] of policy.entries()) {
    const where = `rule ${at + 1} of the policy of the segment ${name}`;
    checkLabels(`from in ${where}`, from);
    checkLabels(`to in ${where}`, to);
    checkPorts(where, ports);
  }
  const keys = new Set(selectorsOf(policy).flatMap((labels) => Object.keys(labels)));
  if (keys.size > mostKeys)
    throw invalid(`the policy of the segment ${name} names labels of ${keys.size} keys; at most ${mostKeys} are taken`);
}

/** Whether a policy may name such a label. */
export function isLabel(key: string, value: string): boolean {
  return labelPart.test(key) && labelPart.test(value);
}

/** The labels by which a policy knows members, with those of rules for everybody: none. */
export function selectorsOf(policy: readonly MemberRule[]): Labels[] {
  return policy.flatMap(({ from, to }) => [from, to]);
}

/** Of a member's labels those that make a difference to a policy. */
export function toldLabels(policy: readonly MemberRule[], labels: Labels): Record<string, string> {
  const named = Object.assign({}, ...selectorsOf(policy).map((selector) => matching(selector, labels))) as Labels;
  return Object.fromEntries(Object.entries(named).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Whether a member has all of these labels. */
export function hasLabels(selector: Labels, labels: Labels): boolean {
  return Object.keys(matching(selector, labels)).length === Object.keys(selector).length;
}

/** `502/tcp`, `161/udp`. Throws "invalid". */
export function parseMemberPort(text: string): MemberPort {
  const [, port = "", protocol = ""] = /^([1-9]\d{0,4})\/(tcp|udp)$/.exec(text) ?? [];
  if (protocol === "" || Number(port) > 65_535)
    throw invalid(`${JSON.stringify(text.slice(0, 100))} is no port; write it as 502/tcp or 161/udp, from 1 to 65535`);
  return { protocol: protocol as MemberPort["protocol"], port: Number(port) };
}

/** In a few words, as `role=hmi -> role=plc: 502/tcp, 161/udp`. */
export function ruleWords({ from, to, ports }: MemberRule): string {
  const who = (labels: Labels) =>
    Object.entries(labels)
      .map((pair) => pair.join("="))
      .join(",") || "all";
  return `${who(from)} -> ${who(to)}: ${ports.join(", ") || "everything"}`;
}

function matching(selector: Labels, labels: Labels): Labels {
  const has = ([key, value]: readonly [string, string]) => Object.hasOwn(labels, key) && labels[key] === value;
  return Object.fromEntries(Object.entries(selector).filter(has));
}

function checkLabels(where: string, labels: Labels): void {
  const pairs = Object.entries(labels);
  if (pairs.length > most.labels) throw invalid(`${where} has ${pairs.length} labels; at most ${most.labels} are taken`);
  const odd = pairs.find((pair) => !isLabel(...pair));
  if (odd !== undefined)
    throw invalid(
      `${where} has the label ${JSON.stringify(odd.join("=").slice(0, 150))}; key and value have 1 to 63 letters, digits, dots, dashes, underscores and slashes, and begin and end with a letter or digit`,
    );
}

function checkPorts(where: string, ports: readonly string[]): void {
  if (ports.length > most.ports) throw invalid(`${where} has ${ports.length} ports; at most ${most.ports} are taken`);
  const twice = ports.find((port, at) => ports.indexOf(port) !== at);
  if (twice !== undefined) throw invalid(`${where} names the port ${twice} twice`);
  for (const port of ports) {
    try {
      parseMemberPort(port);
    } catch (error) {
      throw invalid(`${where}: ${(error as Error).message}`);
    }
  }
}

function invalid(message: string): MeshError {
  return new MeshError("invalid", message);
}
