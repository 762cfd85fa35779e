import type { NetworkServiceEndpoint } from "../api/gen/registry/registry.js";
import { fromTimestamp } from "../core/timestamp.js";

/** When an endpoint expires, milliseconds since 1970; undefined where it does not say. */
export function expiryOf({ expirationTime }: NetworkServiceEndpoint): number | undefined {
  return expirationTime === undefined ? undefined : fromTimestamp(expirationTime);
}
