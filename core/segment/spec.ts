import type { Segment } from "../../api/gen/isthmus/v1/segment.js";
import { MeshError } from "../error.js";
import { contains, formatPrefix, type Prefix, parsePrefix } from "../ipam/prefix.js";
import { longestFor } from "./cut.js";
import { checkPolicy } from "./policy.js";
import { specialMeeting } from "./special.js";

export const layers = ["l2", "l3"];

const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const longestDomain = 253;
const mtus = { least: 576, leastWithIPv6: 1_280, most: 9_000 };

/**
 * A segment as it was applied in the site `home`, its prefixes and addresses in their shortest form, IPv4 first. Throws "invalid" with where, what
 * and what is allowed.
 */
export function checkedSpec(segment: Segment, home: string): Segment {
  const { name, layer } = segment;
  checkLabel("the name of a segment", name);
  if (!layers.includes(layer)) throw invalid(`the layer of the segment ${name} must be ${layers.join(" or ")}, got ${quoted(layer)}`);
  if (segment.floodUnknown && layer !== "l2")
    throw invalid(`the segment ${name} cannot flood unknown MAC addresses: it is ${layer}, and only l2 has such frames`);
  if (segment.allowSpoofing && layer !== "l2")
    throw invalid(`the segment ${name} cannot allow spoofing: it is ${layer}; behind a member of that is what it announces`);
  checkSites(segment, home);
  const prefixes = checkedPrefixes(segment);
  checkMtu(segment, prefixes);
  checkDomain(segment);
  for (const key of Object.keys(segment.allowLabels))
    if (key === "") throw invalid(`a label that the segment ${name} wants has no key; write it as key=value`);
  checkPolicy(segment);
  return { ...segment, prefixes: prefixes.map(formatPrefix), exclude: checkedExclude(segment, prefixes) };
}

/** The sites that take part in it. */
export function sitesOf({ sites, home }: Pick<Segment, "sites" | "home">): readonly string[] {
  return sites.length === 0 ? [home] : sites;
}

function checkSites({ name, sites }: Segment, home: string): void {
  for (const site of sites) checkLabel(`a site of the segment ${name}`, site);
  const twice = sites.find((site, at) => sites.indexOf(site) !== at);
  if (twice !== undefined) throw invalid(`the segment ${name} names the site ${twice} twice`);
  if (sites.length > 0 && !sites.includes(home))
    throw invalid(`the sites of the segment ${name} must include ${home}, where it is made, got ${sites.join(", ")}`);
}

function checkedPrefixes({ name, layer, prefixes: texts, sites }: Segment): Prefix[] {
  const prefixes = texts.map((text) => within(`the segment ${name}`, () => parsePrefix(text)));
  if (prefixes.length === 0 && layer === "l3")
    throw invalid(`the segment ${name} is l3 and needs a prefix to route by, as 10.60.0.0/16 or fd60::/48`);
  for (const [at, { family }] of prefixes.entries())
    if (prefixes.findIndex((one) => one.family === family) !== at)
      throw invalid(`the segment ${name} has two IPv${family} prefixes, ${texts.join(" and ")}; it takes one IPv4 and one IPv6`);
  for (const prefix of prefixes) checkPrefix(name, prefix, Math.max(1, sites.length));
  return prefixes.sort((a, b) => a.family - b.family);
}

function checkPrefix(name: string, prefix: Prefix, sites: number): void {
  const text = formatPrefix(prefix);
  const meets = specialMeeting(prefix);
  if (meets !== undefined)
    throw invalid(
      `the prefix ${text} of the segment ${name} has addresses of ${meets.prefix}, which ${meets.what}; take another, such as 10.60.0.0/16 or fd60::/48`,
    );
  const longest = longestFor(prefix.family, sites);
  if (prefix.length > longest)
    throw invalid(
      `the prefix ${text} of the segment ${name} is too small for ${sites} ${sites === 1 ? "site" : "sites"}; /${longest} or larger is needed`,
    );
}

function checkMtu({ name, mtu }: Segment, prefixes: readonly Prefix[]): void {
  const least = prefixes.some(({ family }) => family === 6) ? mtus.leastWithIPv6 : mtus.least;
  if (mtu === 0 || (mtu >= least && mtu <= mtus.most)) return;
  const why = least === mtus.leastWithIPv6 ? ", for IPv6 wants 1280" : "";
  throw invalid(
    `the MTU of the segment ${name} must be ${least} to ${mtus.most}${why}, or auto for the least that all its ways carry, got ${mtu}`,
  );
}

function checkDomain({ name, dnsDomain }: Segment): void {
  if (dnsDomain === "" || (dnsDomain.length <= longestDomain && dnsDomain.split(".").every((part) => label.test(part)))) return;
  throw invalid(
    `the DNS domain of the segment ${name} must be like plant.mesh, of lower-case letters, digits and dashes between the dots and at most ${longestDomain} characters, got ${quoted(dnsDomain)}`,
  );
}

function checkedExclude({ name, exclude, prefixes: texts }: Segment, prefixes: readonly Prefix[]): string[] {
  return exclude.map((text) => {
    const prefix = within(`what the segment ${name} excludes`, () => parsePrefix(text));
    if (!prefixes.some((one) => contains(one, prefix)))
      throw invalid(`the segment ${name} excludes ${text}, which is not in ${texts.join(" or ") || "any prefix of it, for it has none"}`);
    return text.includes("/") ? formatPrefix(prefix) : formatPrefix(prefix).replace(/\/.*/, "");
  });
}

function checkLabel(what: string, text: string): void {
  if (label.test(text)) return;
  throw invalid(
    `${what} is made of lower-case letters, digits and dashes, at most 63, and begins and ends with a letter or digit, got ${quoted(text)}`,
  );
}

function within<T>(where: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof MeshError) throw new MeshError(error.code, `${where}: ${error.message}`, { cause: error });
    throw error;
  }
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}

function invalid(message: string): MeshError {
  return new MeshError("invalid", message);
}
