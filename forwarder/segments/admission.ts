import type { Connection } from "../../api/gen/connection/connection.js";
import type { Segment } from "../../api/gen/isthmus/v1/segment.js";
import { contextOf } from "../../core/context.js";
import { MeshError } from "../../core/error.js";
import { isHostMac } from "../../core/segment/membership.js";
import type { JoinWishes } from "../../core/segment/wishes.js";
import { anyMeet } from "./addressing.js";
import { isL2 } from "./devices.js";
import type { LocalSegment } from "./local.js";

/** The MAC address that the client asks for, or "". */
export function macOf(conn: Connection): string {
  const mac = contextOf(conn).ethernetContext?.srcMac.toLowerCase() ?? "";
  if (mac === "" || isHostMac(mac)) return mac;
  throw new MeshError("invalid", `${JSON.stringify(mac)} is no MAC address of one interface; write it as 02:00:5e:10:00:01`);
}

/** Whoever has another's MAC address gets its frames. */
export function mustBeFree(mac: string, id: string, local: LocalSegment): void {
  const elsewhere = () => isL2(local.part.segment) && local.remotes.some(({ members }) => members.some((member) => member.mac === mac));
  if (mac === "" || !(local.hasMac(mac, id) || elsewhere())) return;
  throw new MeshError(
    "exists",
    `the MAC address ${mac} is another's in the segment ${local.part.segment.name}; ask for another, or for none`,
  );
}

/** A node has one way to what is behind its own members; other nodes may have more. Who has the same sticky name is about to lose it. */
export function mustAnnounceAlone({ announces, sticky }: JoinWishes, id: string, local: LocalSegment): void {
  for (const { member } of local.members) {
    const twice = announces.find((prefix) => member.announces.includes(prefix));
    if (twice === undefined || member.id === id || (sticky !== "" && member.sticky === sticky)) continue;
    throw new MeshError(
      "exists",
      `${member.name} announces ${twice} on this node already, in the segment ${member.segment}; announce it on another node, or let that one leave`,
    );
  }
}

/** What lies in the segment is its members' own; nobody draws what is sent to them. */
export function mustBeOutside({ name, prefixes }: Segment, announces: readonly string[]): void {
  const inside = announces.find((prefix) => anyMeet([prefix], prefixes));
  if (inside === undefined) return;
  throw new MeshError(
    "invalid",
    `${inside} has addresses of the segment ${name} itself (${prefixes.join(", ")}); announce what lies outside of it`,
  );
}

/** Who may be a member at all, and send what is not its own. */
export function mustBeAllowed(
  { name, allowLabels, allowSpoofing }: Segment,
  { spoofing }: JoinWishes,
  labels: Readonly<Record<string, string>>,
): void {
  if (spoofing && !allowSpoofing)
    throw new MeshError(
      "denied",
      `the segment ${name} lets nobody send from addresses that are not his own; join without --allow-spoofing, or make an l2 segment with it (nsmctl create segment --allow-spoofing)`,
    );
  const missing = Object.entries(allowLabels).flatMap(([key, value]) => (labels[key] === value ? [] : [`${key}=${value}`]));
  if (missing.length === 0) return;
  throw new MeshError(
    "denied",
    `the segment ${name} takes only clients with ${missing.join(", ")}; ask by nsmctl request-connection ${name} --label ${missing.join(" --label ")}`,
  );
}
