import { MeshError } from "../../core/error.js";
import { parseIdPattern, parseTrustDomain } from "../spiffe.js";
import type { Pattern } from "./policy.js";

const longest = 253;

/**
 * SPIFFE ids: as `NSM_PEER_IDS` has them (`*` is a part or some of one, `**` at the end any rest), or a trust domain for all of its ids.
 * Throws "invalid".
 */
export function whoPattern(text: string): Pattern {
  const matches = text.includes("/") ? parseIdPattern(text) : parseIdPattern(`spiffe://${parseTrustDomain(text)}/**`);
  return { text, matches };
}

/** Whether it is a pattern that `namePattern` takes. */
export function isNamePattern(text: string): boolean {
  return text.length <= longest && /^[\x21-\x7e]*$/.test(text);
}

/** Names of network services, values of labels: `*` is any number of characters, none too. Throws "invalid". */
export function namePattern(text: string): Pattern {
  if (!isNamePattern(text))
    throw new MeshError("invalid", `it is made of at most ${longest} printable characters without spaces, and * for any number of them`);
  const [head = "", ...more] = text.split("*");
  const tail = more.pop();
  if (tail === undefined) return { text, matches: (value) => value === head };
  return {
    text,
    matches: (value) => isBetween(value, head, tail) && holdsInOrder(value.slice(head.length, value.length - tail.length), more),
  };
}

function isBetween(value: string, head: string, tail: string): boolean {
  return value.length >= head.length + tail.length && value.startsWith(head) && value.endsWith(tail);
}

/** Takes each part where it comes first: a regular expression would try all places, and take long where somebody wants it to. */
function holdsInOrder(value: string, parts: readonly string[]): boolean {
  let from = 0;
  return parts.every((part) => {
    const at = value.indexOf(part, from);
    from = at + part.length;
    return at >= 0;
  });
}
