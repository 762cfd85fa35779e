import type { Asked, Labels, Pattern, Policy, Rule } from "./policy.js";

export type Decision =
  | { readonly allowed: true; readonly rule: Rule }
  /** `missing`: one sentence that says which rule is not there, and what to add. */
  | { readonly allowed: false; readonly missing: string };

/** Pure. Allowed by the first rule of which every part matches, and by nothing else. */
export function decide(policy: Policy, asked: Asked): Decision {
  const rule = policy.rules.find((one) => allows(one, asked));
  return rule === undefined ? { allowed: false, missing: sentence(policy, asked) } : { allowed: true, rule };
}

/** The same as yes or no. */
export function permits({ rules }: Policy, asked: Asked): boolean {
  return rules.some((rule) => allows(rule, asked));
}

/** Asked for every request at every hop: makes nothing, and looks first at what is cheap to look at. */
function allows({ who, may, services, except, pods }: Rule, { id, action, service, podLabels = {} }: Asked): boolean {
  if (!may.includes(action) || !some(services, service) || excepts(except, service) || !some(who, id)) return false;
  for (const key of Object.keys(pods)) if (!fits(pods[key], podLabels, key)) return false;
  return true;
}

interface Mismatch {
  readonly weight: number;
  readonly words: string;
}

/** What a rule would have to say otherwise, for people, the weightiest first; nothing when it allows it. */
function mismatches({ who, may, services, except, pods }: Rule, { id, action, service, podLabels = {} }: Asked): Mismatch[] {
  const wrong: Mismatch[] = [];
  if (!may.includes(action)) wrong.push({ weight: 4, words: `lets them ${may.join(", ")} only` });
  if (!some(services, service)) wrong.push({ weight: 3, words: `is about ${texts(services)}` });
  else if (excepts(except, service)) wrong.push({ weight: 3, words: `is about ${texts(services)} except ${texts(except)}` });
  if (!some(who, id)) wrong.push({ weight: 2, words: `is for ${texts(who)}` });
  const lacking = Object.entries(pods).filter(([key, pattern]) => !fits(pattern, podLabels, key));
  if (lacking.length > 0)
    wrong.push({ weight: 1, words: `is for pods with ${lacking.map(([key, { text }]) => `${key}=${text}`).join(",")}` });
  return wrong;
}

function sentence(policy: Policy, asked: Asked): string {
  const { id, action, service, podLabels = {} } = asked;
  const pod = Object.keys(podLabels).length === 0 ? "" : ` (a pod with ${labelled(podLabels)})`;
  const what = service === "" ? "what names no network service" : JSON.stringify(service);
  const add = `who [${id}], may [${action}], services [${JSON.stringify(service || "*")}]`;
  return `${id}${pod} may not ${action} ${what}: no rule of the site's policy allows it${nearest(policy, asked)}; add one with ${add} and \`nsmctl policy apply\` it`;
}

/** The rule that only one thing is wrong with, and that one the lightest. */
function nearest({ rules }: Policy, asked: Asked): string {
  const near = rules.flatMap((rule) => {
    const [wrong, ...more] = mismatches(rule, asked);
    return wrong === undefined || more.length > 0 ? [] : { ...wrong, title: rule.title };
  });
  const [first] = near.sort((a, b) => a.weight - b.weight);
  return first === undefined ? "" : `, ${first.title} comes nearest but ${first.words}`;
}

function texts(patterns: readonly { readonly text: string }[]): string {
  const most = 3;
  const more = patterns.length > most ? ` and ${patterns.length - most} more` : "";
  return patterns
    .slice(0, most)
    .map(({ text }) => text)
    .join(", ")
    .concat(more);
}

function labelled(labels: Labels): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(",");
}

function some(patterns: readonly Pattern[], value: string): boolean {
  return patterns.some((pattern) => pattern.matches(value));
}

/** What names no service might turn out to be anything, also what is excepted. */
function excepts(except: readonly Pattern[], service: string): boolean {
  return except.length > 0 && (service === "" || some(except, service));
}

function fits(pattern: Pattern | undefined, labels: Labels, key: string): boolean {
  return pattern !== undefined && Object.hasOwn(labels, key) && pattern.matches(labels[key] ?? "");
}
