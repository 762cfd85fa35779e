import { readFileSync, readlinkSync, realpathSync } from "node:fs";
import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import { MeshError } from "../core/error.js";
import { usage } from "./errors.js";

const labelKey = /^[A-Za-z0-9]([-A-Za-z0-9_./]{0,251}[A-Za-z0-9])?$/;
const labelValue = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;
const name = /^[A-Za-z0-9]([-A-Za-z0-9_.@]{0,251}[A-Za-z0-9])?$/;
const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `k=v` words as one record. */
export function parseLabels(words: readonly string[], option = "--label"): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const word of words) {
    const at = word.indexOf("=");
    const [key, value] = at < 0 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
    if (value === undefined || !labelKey.test(key) || !labelValue.test(value))
      throw usage(`${option} takes key=value made of letters, digits and - _ . (/ in the key too), got "${word}"`);
    if (Object.hasOwn(labels, key)) throw usage(`${option} ${key} was given twice; give it once`);
    labels[key] = value;
  }
  return labels;
}

/** `172.16.1.0/24[,2001:db8:1::/112]`: one prefix per family, without host bits. */
export function parseCidrs(text: string, option = "--cidr"): string[] {
  const cidrs = text.split(",").map((word) => parseCidr(word.trim(), option));
  const families = cidrs.map((cidr) => isIP(cidr.split("/")[0] ?? ""));
  if (new Set(families).size !== families.length) throw usage(`${option} takes one prefix per family, got "${text}"`);
  return cidrs;
}

/** A prefix without host bits, in its shortest form. */
export function parseCidr(word: string, option: string): string {
  const [address = "", length = "", ...rest] = word.split("/");
  const family = isIP(address);
  const bits = Number(length);
  if (family === 0 || rest.length > 0 || !/^\d{1,3}$/.test(length) || bits > (family === 4 ? 32 : 128))
    throw usage(`${option} takes ADDRESS/LENGTH such as 172.16.1.0/24 or 2001:db8:1::/112, got "${word}"`);
  const network = (family === 4 ? ipaddr.IPv4 : ipaddr.IPv6).networkAddressFromCIDR(word).toString();
  if (ipaddr.parse(address).toString() !== network) throw usage(`${option} ${word} has bits beyond its length; write ${network}/${bits}`);
  return `${network}/${bits}`;
}

/** An address without length, in its shortest form. */
export function parseIp(word: string, option: string): string {
  if (isIP(word) === 0 || word.includes("%")) throw usage(`${option} takes an address such as 10.60.0.5 or fd60::5, got "${word}"`);
  return ipaddr.parse(word).toString();
}

/** A name that the kernel takes for a link. */
export function parseInterface(text: string): string {
  if (text.length > 15) throw usage(`--interface takes at most 15 characters, "${text}" has ${text.length}`);
  if (text === "" || text === "." || text === ".." || /[/:\s]/.test(text))
    throw usage(`--interface takes a name without slash, colon and space, got "${text}"`);
  return text;
}

/** The name of a network service, an endpoint or a pod. */
export function parseName(what: string, text: string): string {
  if (!name.test(text))
    throw usage(`${what} is made of letters, digits and - _ . @ and begins and ends with a letter or digit, got "${text}"`);
  return text;
}

/** `500ms`, `15s`, `2m` in milliseconds. */
export function parseDuration(option: string, text: string): number {
  const [, digits = "", unit = ""] = /^(\d{1,9})(ms|s|m|h)$/.exec(text) ?? [];
  const ms = Number(digits) * (units[unit] ?? 0);
  if (ms <= 0) throw usage(`${option} takes a duration such as 500ms, 15s or 2m, got "${text}"`);
  return ms;
}

/** The URL of the network namespace at `path`. Refuses what is not there or is no network namespace. */
export function netnsUrl(path: string): string {
  if (!isNetns(path))
    throw new MeshError("not-found", `${path} is no network namespace; name one such as /run/netns/NAME or /proc/PID/ns/net`);
  return `file://${path}`;
}

function isNetns(path: string): boolean {
  try {
    if (path.startsWith("/proc/")) return readlinkSync(path).startsWith("net:[");
    return isMounted(realpathSync(path));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "EINVAL") return false;
    if (code === "EACCES") throw new MeshError("denied", `${path} cannot be looked at; run nsmctl as root`, { cause: error });
    throw new MeshError("not-found", `there is no network namespace at ${path}; make it, or name another`, { cause: error });
  }
}

// A namespace that is kept by a mount shows as `net:[INODE]` in the root field.
function isMounted(real: string): boolean {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return mounts.some((line) => {
    const [, , , root, point] = line.split(" ");
    return root?.startsWith("net:[") && unescapeMount(point ?? "") === real;
  });
}

function unescapeMount(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
