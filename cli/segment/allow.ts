import { MemberRule } from "../../api/gen/isthmus/v1/segment.js";
import { parseLabels } from "../check.js";
import { usage } from "../errors.js";

const option = "--allow";

/** `role=hmi -> role=plc: 502/tcp, 161/udp`, as a segment is described; `all` is everybody, without ports it is everything. */
export function parseAllow(text: string): MemberRule {
  const [, from, to, ports = ""] = /^([^:>]+)->([^:>]+)(?::([^:>]*))?$/.exec(text) ?? [];
  if (from === undefined || to === undefined)
    throw usage(`${option} takes a rule such as "role=hmi -> role=plc: 502/tcp, 161/udp", or all for everybody, got "${text}"`);
  return MemberRule.fromPartial({ from: labelsOf(from), to: labelsOf(to), ports: wordsOf(ports).filter((port) => port !== "everything") });
}

function labelsOf(text: string): Record<string, string> {
  return text.trim() === "all" ? {} : parseLabels(wordsOf(text), option);
}

function wordsOf(list: string): string[] {
  return list.trim() === "" ? [] : list.split(",").map((word) => word.trim());
}
