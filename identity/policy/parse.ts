import { type Document, isMap, isScalar, LineCounter, type Node, parseDocument, stringify } from "yaml";
import { z } from "zod";
import { asMeshError, MeshError } from "../../core/error.js";
import { namePattern, whoPattern } from "./patterns.js";
import { actions, longestPolicy, type Pattern, type Policy, type Rule, titleOf } from "./policy.js";

const mostRules = 1_000;
/** What is in force is a file and the rules of joined sites, all written out. */
const inForceTimes = 8;
/** Of each list in a rule. */
export const mostEntries = 256;

const whoWords = "a SPIFFE id such as spiffe://paris/node/*/nsmgr (* is a part or some of one, ** at the end any rest), or a trust domain";
const nameWords = "a name without spaces, * for any number of characters";
const text = (what: string) => z.string(`must be ${what}`);

const rule = z.strictObject(
  {
    name: text("a text").max(100, "must be a text of at most 100 characters").optional(),
    who: entries(text(whoWords), whoWords),
    may: entries(z.enum(actions, `must be one of ${actions.join(", ")}`), actions.join(", ")),
    services: entries(text(nameWords).min(1, `must be ${nameWords}`), nameWords),
    except: entries(text(nameWords).min(1, `must be ${nameWords}`), nameWords).optional(),
    pods: z.record(z.string(), text("a text; * for any number of characters"), "must be labels, such as role: viewer").optional(),
  },
  "must be a rule, with who, may and services",
);
const file = z.strictObject({ allow: z.array(rule, "must be a list of rules") });

type Written = z.infer<typeof rule>;

function entries<T extends z.ZodType>(one: T, what: string) {
  const must = `must be a list of 1 to ${mostEntries} entries, each ${what}`;
  return z.array(one, must).min(1, must).max(mostEntries, must);
}

/** Reads a policy file. Throws "invalid" with the line, the key, the value and what is allowed; `where` is the file's name. */
export function parsePolicy(yaml: string, where: string): Policy {
  return parseWithin(1, yaml, where);
}

/** Reads what `formatPolicy` wrote of several policies together. */
export function parseInForce(yaml: string, where: string): Policy {
  return parseWithin(inForceTimes, yaml, where);
}

function parseWithin(times: number, yaml: string, where: string): Policy {
  const [most, rules] = [longestPolicy * times, mostRules * times];
  if (yaml.length > most) throw new MeshError("invalid", `${where} has ${yaml.length} characters; a policy has at most ${most}`);
  const lines = new LineCounter();
  const document = parseDocument(yaml, { lineCounter: lines });
  const at = (offset: number | undefined) => (offset === undefined ? where : `${where}, line ${lines.linePos(offset).line}`);
  const [wrong] = [...document.errors, ...document.warnings];
  if (wrong !== undefined) throw new MeshError("invalid", `${at(wrong.pos[0])}: this is no YAML: ${wrong.message.split("\n")[0]}`);
  const fail = (path: readonly PropertyKey[], what: string) => {
    throw new MeshError("invalid", `${at(offsetOf(document, path))}: ${what}`);
  };
  const result = file.safeParse(plain(document, where));
  if (!result.success) return fail(...describe(firstOf(result.error.issues), document));
  const { allow } = result.data;
  if (allow.length > rules) return fail(["allow"], `allow has ${allow.length} rules; it must be a list of at most ${rules} rules`);
  return { rules: allow.map((written, index) => ruleOf(written, index, fail)) };
}

/** The same rules as a file, without comments. */
export function formatPolicy({ rules }: Policy): string {
  const written = rules.map(({ name, who, may, services, except, pods }) => ({
    ...(name !== undefined && { name }),
    ...{ who: texts(who), may: [...may], services: texts(services) },
    ...(except.length > 0 && { except: texts(except) }),
    ...(Object.keys(pods).length > 0 && { pods: Object.fromEntries(Object.entries(pods).map(([key, value]) => [key, value.text])) }),
  }));
  return stringify({ allow: written }, { aliasDuplicateObjects: false });
}

/** An alias could make a small file a huge one. */
function plain(document: Document, where: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 0 });
  } catch (error) {
    throw new MeshError("invalid", `${where}: write out what an alias (*name) stands for: a policy has none`, { cause: error });
  }
}

function ruleOf(written: Written, index: number, fail: (path: PropertyKey[], what: string) => never): Rule {
  const { name, who, may, services, except = [], pods = {} } = written;
  const pattern = (read: (text: string) => Pattern, value: string, key: PropertyKey[], allowed: string) => {
    try {
      return read(value);
    } catch (error) {
      const why = asMeshError(error).message;
      const path = ["allow", index, ...key];
      return fail(path, `${named(path)} is ${JSON.stringify(value)}; it must be ${allowed}: ${why}`);
    }
  };
  return {
    title: titleOf(index, name),
    ...{ name, may },
    who: who.map((value, at) => pattern(whoPattern, value, ["who", at], whoWords)),
    services: services.map((value, at) => pattern(namePattern, value, ["services", at], nameWords)),
    except: except.map((value, at) => pattern(namePattern, value, ["except", at], nameWords)),
    pods: Object.fromEntries(Object.entries(pods).map(([key, value]) => [key, pattern(namePattern, value, ["pods", key], nameWords)])),
  };
}

/** A key that is not known often is why another is missing. */
function firstOf(issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue {
  return (issues.find(({ code }) => code === "unrecognized_keys") ?? issues[0]) as z.core.$ZodIssue;
}

function describe(issue: z.core.$ZodIssue, document: Document): [PropertyKey[], string] {
  if (issue.code === "unrecognized_keys") {
    const [key = ""] = issue.keys;
    const allowed = issue.path.length === 0 ? Object.keys(file.shape) : Object.keys(rule.shape);
    const what = issue.path.length === 0 ? "a policy has" : "a rule has";
    return [[...issue.path, key], `the key ${JSON.stringify(key)} is not known; ${what} ${allowed.join(", ")}`];
  }
  if (issue.path.length === 0) return [[], "a policy must begin with allow:, a list of rules"];
  const value = document.getIn(issue.path, true) as Node | undefined;
  if (value === undefined) return [issue.path.slice(0, -1), `${named(issue.path)} is missing; it ${issue.message}`];
  return [[...issue.path], `${named(issue.path)} is ${shown(value)}; it ${issue.message}`];
}

/** For people: `entry 2 of who`, `rule 3`, `services`. */
function named(path: readonly PropertyKey[]): string {
  const keys = path.filter((part) => typeof part === "string");
  const last = path.at(-1);
  if (typeof last === "number") return path.length === 2 ? `rule ${last + 1}` : `entry ${last + 1} of ${keys.at(-1)}`;
  return keys.at(-2) === "pods" ? `the label ${String(last)} of pods` : String(last);
}

function shown(node: Node): string {
  const value: unknown = isScalar(node) ? node.value : node.toJSON();
  return (JSON.stringify(value) ?? "empty").slice(0, 100);
}

/** Where in the text that is: of a key the key itself, of an entry its value. */
function offsetOf(document: Document, path: readonly PropertyKey[]): number | undefined {
  for (let length = path.length; length >= 0; length--) {
    const parent = length === 0 ? document.contents : document.getIn(path.slice(0, length - 1), true);
    const last = path[length - 1];
    const pair = isMap(parent) ? parent.items.find(({ key }) => isScalar(key) && key.value === last) : undefined;
    const node = (pair?.key ?? (length === 0 ? document.contents : document.getIn(path.slice(0, length), true))) as Node | undefined;
    if (node?.range) return node.range[0];
  }
  return undefined;
}

function texts(patterns: readonly Pattern[]): string[] {
  return patterns.map(({ text: written }) => written);
}
