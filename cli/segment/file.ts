import { closeSync, openSync, readSync } from "node:fs";
import { type Document, isMap, isScalar, LineCounter, type Node, parseAllDocuments } from "yaml";
import { z } from "zod";
import { Segment } from "../../api/gen/isthmus/v1/segment.js";
import { MeshError } from "../../core/error.js";

/** Bytes of a file. */
const longest = 256 * 1024;
const mostDocuments = 256;

const words = (what: string) => z.array(z.string(`must be ${what}`), `must be a list of ${what}`);

const labels = (what: string) =>
  z
    .record(z.string(), z.string('must be a text; write it as "true" where YAML takes it for something else'), `must be labels, as ${what}`)
    .default({});

const rule = z.strictObject(
  { from: labels("role: hmi"), to: labels("role: plc"), ports: words("ports, as 502/tcp").default([]) },
  "must be a rule with from, to and ports",
);

// What a segment may be its registry says; here it is looked at whether it is one at all.
const file = z.strictObject({
  kind: z.literal("Segment", "must be Segment"),
  name: z.string("must be a name, as plant").min(1, "must be a name, as plant"),
  layer: z.enum(["l2", "l3"], "must be l2 or l3"),
  prefixes: words("prefixes, as 10.60.0.0/16").default([]),
  sites: words("names of sites").default([]),
  mtu: z.union([z.literal("auto"), z.int().min(1).max(65_535)], "must be auto or a number of bytes, as 1400").default("auto"),
  dnsDomain: z.string("must be a domain, as plant.mesh").default(""),
  allowLabels: labels("role: sensor"),
  exclude: words("addresses or prefixes, as 10.60.0.0/28").default([]),
  floodUnknown: z.boolean("must be true or false").default(false),
  allowSpoofing: z.boolean("must be true or false").default(false),
  policy: z.array(rule, "must be a list of rules").default([]),
});

/** The segments of a file with one or several YAML documents. Throws "invalid" with the line, the key, and what is allowed. */
export function parseSegments(yaml: string, where: string): Segment[] {
  const lines = new LineCounter();
  // A file may end, or begin, with a line of dashes.
  const documents = [...parseAllDocuments(yaml, { lineCounter: lines })].filter((document) => !isEmpty(document));
  if (documents.length === 0) throw new MeshError("invalid", `${where} is empty; a segment begins with kind: Segment`);
  if (documents.length > mostDocuments)
    throw new MeshError("invalid", `${where} has ${documents.length} documents; at most ${mostDocuments} are taken`);
  const at = (offset: number | undefined) => (offset === undefined ? where : `${where}, line ${lines.linePos(offset).line}`);
  const segments = documents.map((document) => segmentOf(document, at));
  for (const [index, { name }] of segments.entries())
    if (segments.findIndex((other) => other.name === name) !== index)
      throw new MeshError("invalid", `${where} has two segments ${name}; give each a name of its own`);
  return segments;
}

/** The text of a file, or of standard input for `-`. */
export function readSegments(path: string): string {
  try {
    return readAtMost(path, longest);
  } catch (cause) {
    if (cause instanceof MeshError) throw cause;
    throw new MeshError("invalid", `${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

function isEmpty({ contents, errors }: Document): boolean {
  return errors.length === 0 && (contents === null || (isScalar(contents) && contents.value === null));
}

function segmentOf(document: Document, at: (offset: number | undefined) => string): Segment {
  const [wrong] = [...document.errors, ...document.warnings];
  if (wrong !== undefined) throw new MeshError("invalid", `${at(wrong.pos[0])}: this is no YAML: ${wrong.message.split("\n")[0]}`);
  const result = file.safeParse(plain(document, at));
  if (!result.success) throw new MeshError("invalid", sentence(result.error.issues, document, at));
  const { kind: _, mtu, ...rest } = result.data;
  return Segment.fromPartial({ ...rest, mtu: mtu === "auto" ? 0 : mtu });
}

/** An alias could make a small file a huge one. */
function plain(document: Document, at: (offset: number | undefined) => string): unknown {
  try {
    return document.toJS({ maxAliasCount: 0 });
  } catch (cause) {
    throw new MeshError("invalid", `${at(document.range?.[0])}: write out what an alias (*name) stands for: a segment has none`, { cause });
  }
}

function sentence(issues: readonly z.core.$ZodIssue[], document: Document, at: (offset: number | undefined) => string): string {
  // A key that is not known often is why another is missing.
  const issue = issues.find(({ code }) => code === "unrecognized_keys") ?? (issues[0] as z.core.$ZodIssue);
  if (issue.code === "unrecognized_keys") {
    const [key = ""] = issue.keys;
    const [what, { shape }] = issue.path.length === 0 ? ["a segment", file] : ["a rule of a policy", rule];
    const offset = offsetOf(document.getIn(issue.path, true) ?? document.contents, key);
    return `${at(offset)}: the key ${JSON.stringify(key)} is not known; ${what} has ${Object.keys(shape).join(", ")}`;
  }
  const [key] = issue.path;
  if (key === undefined) return `${at(document.range?.[0])}: a segment must have keys, the first of them kind: Segment`;
  const name = issue.path
    .map((part) => (typeof part === "number" ? `entry ${part + 1}` : String(part)))
    .reverse()
    .join(" of ");
  const value = document.getIn(issue.path, true) as Node | undefined;
  if (value === undefined) return `${at(document.range?.[0])}: ${name} is missing; it ${issue.message}`;
  const shown: unknown = isScalar(value) ? value.value : value.toJSON();
  return `${at(value.range?.[0])}: ${name} is ${(JSON.stringify(shown) ?? "empty").slice(0, 100)}; it ${issue.message}`;
}

function offsetOf(map: unknown, key: string): number | undefined {
  const pair = isMap(map) ? map.items.find((item) => isScalar(item.key) && item.key.value === key) : undefined;
  return (pair?.key as Node | undefined)?.range?.[0];
}

/** Not more than that is read, of a pipe without an end too. */
function readAtMost(path: string, most: number): string {
  const fd = path === "-" ? 0 : openSync(path, "r");
  try {
    const buffer = Buffer.alloc(most + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length <= most; length += read) read = readSync(fd, buffer, length, buffer.length - length, null);
    if (length > most) throw new MeshError("invalid", `${path} has more than ${most} bytes; put its segments into several files`);
    return buffer.toString("utf8", 0, length);
  } finally {
    if (path !== "-") closeSync(fd);
  }
}
