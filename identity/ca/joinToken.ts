import { createHash, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { MeshError } from "../../core/error.js";
import { readPrivate } from "../privateFile.js";

/** What a one-time token says: with it, the programs of one node join a site. */
export interface JoinToken {
  /** Of the registry. */
  readonly url: string;
  /** SHA-256 of the site's authority, hexadecimal: who answers there must be signed by it. */
  readonly authority: string;
  readonly node: string;
  readonly invitation: string;
  readonly secret: Uint8Array;
  /** Milliseconds since 1970. */
  readonly expires: number;
}

const start = "isthmus-join-1";
const longest = 4096;

const form = z.strictObject({
  url: z.string().max(2048),
  authority: z.string().regex(/^[0-9a-f]{64}$/),
  node: z.string().max(253),
  invitation: z.string().max(64),
  secret: z.string().max(128),
  expires: z.number(),
});

/** One word, to be kept secret: whoever has it first can join. */
export function formatJoinToken(token: JoinToken): string {
  const body = Buffer.from(JSON.stringify({ ...token, secret: Buffer.from(token.secret).toString("base64url") })).toString("base64url");
  return `${start}.${body}.${checksum(body)}`;
}

/** Throws "invalid" for what is no token, or not the whole of one; never shows it. */
export function parseJoinToken(text: string): JoinToken {
  const [first, body, sum, ...more] = text.trim().split(".");
  if (text.length > longest || first !== start || body === undefined || sum === undefined || more.length > 0)
    throw new MeshError("invalid", `a join token is one word that begins with ${start}; this is none: was it copied whole?`);
  const [given, right] = [Buffer.from(sum), Buffer.from(checksum(body))];
  if (given.length !== right.length || !timingSafeEqual(given, right))
    throw new MeshError("invalid", "the join token is not as it was made: a letter was lost or altered; copy it again");
  const parsed = form.safeParse(json(body));
  if (!parsed.success) throw new MeshError("invalid", "the join token is of another version of this program");
  return { ...parsed.data, secret: Buffer.from(parsed.data.secret, "base64url") };
}

/** Reads a token from a file of mode 0600; "not-found" says how to get one. */
export function readJoinToken(file: string): JoinToken {
  const text = file === "" ? undefined : readPrivate(file);
  if (text !== undefined) return parseJoinToken(text);
  const where = file === "" ? "name a file with NSM_JOIN_TOKEN_FILE" : `${file} is not there`;
  throw new MeshError(
    "not-found",
    `this program has no identity yet, and no join token: ${where}; \`nsmctl node invite NAME\` at the site's registry makes one (keep it in a file of mode 0600)`,
  );
}

/** Against slips, not against malice: the registry looks at the secret itself. */
function checksum(body: string): string {
  return createHash("sha256").update(`${start}.${body}`).digest("base64url").slice(0, 8);
}

function json(body: string): unknown {
  try {
    return JSON.parse(Buffer.from(body, "base64url").toString("utf8"));
  } catch {
    return undefined;
  }
}
