import { type Range, rangesMeet } from "../ipam/address.js";
import { parsePrefix } from "../ipam/prefix.js";

/** Where no segment can be, and nothing behind one: each pod uses them for itself, or they are no addresses of hosts. */
const special = [
  { prefix: "0.0.0.0/8", what: "means this very host" },
  { prefix: "127.0.0.0/8", what: "is every host's own" },
  { prefix: "169.254.0.0/16", what: "is link-local, and the segment's gateway is in it" },
  { prefix: "224.0.0.0/3", what: "is for multicast, or reserved" },
  { prefix: "::/8", what: "is reserved" },
  { prefix: "fe80::/10", what: "is link-local, and the segment's gateway is in it" },
  { prefix: "ff00::/8", what: "is for multicast" },
].map(({ prefix, what }) => ({ range: parsePrefix(prefix), prefix, what }));

/** The one of these that has addresses of the range, and why it is special. */
export function specialMeeting(range: Range): { readonly prefix: string; readonly what: string } | undefined {
  return special.find((one) => rangesMeet(one.range, range));
}
