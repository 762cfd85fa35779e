import { type KeyObject, sign } from "node:crypto";
import type { Svid } from "../../identity/svid.js";

export interface Claims {
  readonly sub: string;
  readonly aud?: readonly string[] | string;
  /** Seconds since 1970. */
  readonly exp: number;
  readonly [name: string]: unknown;
}

/** Any token that a test wants, right or wrong, signed with ES256 unless `alg` says otherwise. */
export function makeToken(
  claims: Claims,
  by: KeyObject | Svid,
  more: { readonly alg?: string; readonly x5c?: readonly string[] } = {},
): string {
  const key = "privateKey" in by ? by.privateKey : by;
  const x5c = more.x5c ?? ("chain" in by ? by.chain.map(({ raw }) => raw.toString("base64")) : undefined);
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const text = `${part({ alg: more.alg ?? "ES256", typ: "JWT", ...(x5c && { x5c }) })}.${part(claims)}`;
  if (more.alg === "none") return `${text}.`;
  return `${text}.${sign("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
}
