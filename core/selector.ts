import type { Connection } from "../api/gen/connection/connection.js";
import { contextOf } from "./context.js";

/**
 * Where the labels that a user gave with a request travel: ConnectionContext.extra_context, as `a=1,b=2`. They are labels of the
 * client too, which a service's matches speak of. NSM has no other choice by label, so a service without matches would take no
 * notice of them: there they select the endpoints that have them.
 */
const SELECTOR = "isthmus.labels";

/** The extra context for labels of a request; empty for none. Neither keys nor values may hold a comma or start with "=". */
export function selectorContext(labels: Readonly<Record<string, string>>): Record<string, string> {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return pairs.length === 0 ? {} : { [SELECTOR]: pairs.sort().join(",") };
}

/** The labels that an endpoint must have when its service has no matches. */
export function selectorOf(conn: Connection): Record<string, string> {
  const text = contextOf(conn).extraContext[SELECTOR] ?? "";
  const pairs = text.split(",").filter((pair) => pair.includes("="));
  return Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]));
}
