import { MeshError } from "../../core/error.js";
import { parseIdPattern, parseTrustDomain } from "../spiffe.js";
import type { Pattern } from "./policy.js";

const longest = 253;

/** SPIFFE ids: as `NSM_PEER_IDS` has them (`*` is one part, `**` at the end any rest), or a trust domain for all of its ids. Throws "invalid". */
export function whoPattern(text: string): Pattern {
  const matches = text.includes("/") ? parseIdPattern(text) : parseIdPattern(`spiffe://${parseTrustDomain(text)}/**`);
  return { text, matches };
}

/** Names of network services, values of labels: `*` is any number of characters, none too. Throws "invalid". */
export function namePattern(text: string): Pattern {
  if (text.length > longest || !/^[\x21-\x7e]*$/.test(text))
    throw new MeshError("invalid", `it is made of at most ${longest} printable characters without spaces, and * for any number of them`);
  const parts = text.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  const whole = new RegExp(`^${parts.join("[^]*?")}$`);
  return { text, matches: (value) => whole.test(value) };
}
