import { type OneTimeToken, tokenKind } from "./oneTimeToken.js";

/** What a one-time token says with which one other site joins. */
export interface SiteToken extends OneTimeToken {
  /** The site that made it. */
  readonly site: string;
  readonly trustDomain: string;
}

const kind = tokenKind({ start: "isthmus-site-1", what: "token of `nsmctl site invite`", more: ["site", "trustDomain"] });

/** One word, to be kept secret: whoever has it first can join. */
export function formatSiteToken(token: SiteToken): string {
  return kind.format(token);
}

/** Throws "invalid" for what is no token, or not the whole of one; never shows it. */
export function parseSiteToken(text: string): SiteToken {
  return kind.parse(text);
}
