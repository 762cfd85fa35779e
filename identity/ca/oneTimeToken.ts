import { createHash, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { MeshError } from "../../core/error.js";

/** What every one-time token of a registry says. */
export interface OneTimeToken {
  /** Of the registry that made it. */
  readonly url: string;
  /** SHA-256 of the site's authority, hexadecimal: who answers there must be signed by it. */
  readonly authority: string;
  readonly invitation: string;
  readonly secret: Uint8Array;
  /** Milliseconds since 1970. */
  readonly expires: number;
}

const longest = 4096;

const common = {
  url: z.string().max(2048),
  authority: z.string().regex(/^[0-9a-f]{64}$/),
  invitation: z.string().max(64),
  secret: z.string().max(128),
  expires: z.number(),
};

/** A kind of token, one word on paper, to be kept secret: whoever has it first can use it. */
export interface TokenKind<More extends Record<string, string>> {
  format(token: OneTimeToken & More): string;
  /** Throws "invalid" for what is no such token, or not the whole of one; never shows it. */
  parse(text: string): OneTimeToken & More;
}

/** `start` is what such a token begins with, `what` what people call it, `more` the texts that it says besides. */
export function tokenKind<const Key extends string>(parts: {
  readonly start: string;
  readonly what: string;
  readonly more: readonly Key[];
}): TokenKind<Record<Key, string>> {
  const { start, what, more } = parts;
  const form = z.strictObject({ ...common, ...Object.fromEntries(more.map((key) => [key, z.string().max(253)])) });
  const checksum = (body: string) => createHash("sha256").update(`${start}.${body}`).digest("base64url").slice(0, 8);
  return {
    format(token) {
      const body = Buffer.from(JSON.stringify({ ...token, secret: Buffer.from(token.secret).toString("base64url") })).toString("base64url");
      return `${start}.${body}.${checksum(body)}`;
    },
    parse(text) {
      const [first, body, sum, ...rest] = text.trim().split(".");
      if (text.length > longest || first !== start || body === undefined || sum === undefined || rest.length > 0)
        throw new MeshError("invalid", `a ${what} is one word that begins with ${start}; this is none: was it copied whole?`);
      // Against slips, not against malice: the registry looks at the secret itself.
      const [given, right] = [Buffer.from(sum), Buffer.from(checksum(body))];
      if (given.length !== right.length || !timingSafeEqual(given, right))
        throw new MeshError("invalid", `the ${what} is not as it was made: a letter was lost or altered; copy it again`);
      const parsed = form.safeParse(json(body));
      if (!parsed.success) throw new MeshError("invalid", `the ${what} is of another version of this program`);
      const { secret, ...others } = parsed.data;
      return { ...others, secret: Buffer.from(secret, "base64url") } as unknown as OneTimeToken & Record<Key, string>;
    },
  };
}

function json(body: string): unknown {
  try {
    return JSON.parse(Buffer.from(body, "base64url").toString("utf8"));
  } catch {
    return undefined;
  }
}
