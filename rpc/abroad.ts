import { MeshError } from "../core/error.js";
import { formatUrl, parseUrl, type Url } from "./url.js";

/**
 * The URL of an endpoint of this site as another site dials it; undefined where that cannot reach it. One that is not TCP stays as it
 * is.
 */
export function urlAbroad(text: string): string | undefined {
  if (!text.startsWith("tcp:")) return text;
  const url = parsed(text);
  if (url?.kind !== "tcp" || url.external === "none") return undefined;
  const { kind, host, port, external } = url;
  return external === undefined ? formatUrl({ kind, host, port }) : `tcp://${external}`;
}

/**
 * The URL of an endpoint of another site as it is dialled here, where only that site's nsmgr may answer; undefined where that makes no
 * sense.
 */
export function urlFromAbroad(text: string, trustDomain: string): string | undefined {
  const url = parsed(text);
  if (url?.kind !== "tcp") return undefined;
  const { kind, host, port } = url;
  return formatUrl({ kind, host, port, trustDomain });
}

/** Whose program must answer at a URL, where the URL says so. */
export function domainOf(text: string): string | undefined {
  const url = parsed(text);
  return url?.kind === "tcp" ? url.trustDomain : undefined;
}

/** Others wrote it. */
function parsed(text: string): Url | undefined {
  try {
    return parseUrl(text);
  } catch (error) {
    if (error instanceof MeshError) return undefined;
    throw error;
  }
}
