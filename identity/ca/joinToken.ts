import { MeshError } from "../../core/error.js";
import { readPrivate } from "../privateFile.js";
import { type OneTimeToken, tokenKind } from "./oneTimeToken.js";

/** What a one-time token says: with it, the programs of one node join a site. */
export interface JoinToken extends OneTimeToken {
  readonly node: string;
}

const kind = tokenKind({ start: "isthmus-join-1", what: "join token", more: ["node"] });

/** One word, to be kept secret: whoever has it first can join. */
export function formatJoinToken(token: JoinToken): string {
  return kind.format(token);
}

/** Throws "invalid" for what is no token, or not the whole of one; never shows it. */
export function parseJoinToken(text: string): JoinToken {
  return kind.parse(text);
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
