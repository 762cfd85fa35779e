import { createHash } from "node:crypto";
import ipaddr from "ipaddr.js";
import type { Connection, Mechanism, PathSegment } from "../../api/gen/connection/connection.js";
import { MeshError } from "../../core/error.js";
import { subjectOf } from "../../core/token.js";

/** The tunnel address of a node: an IPv6 ULA (RFC 4193) that follows from its forwarder's SPIFFE id, so that nobody can claim another's. */
export function tunnelAddress(spiffeId: string): string {
  const hash = createHash("sha256").update(`isthmus tunnel ${spiffeId}`).digest();
  return ipaddr.fromByteArray([0xfd, ...hash.subarray(0, 15)]).toString();
}

/** Parameters that name, by its id, the path segment of the forwarder at each end: its token says who that is. */
export const sourceSegment = "src_segment";
export const destinationSegment = "dst_segment";

/** The tunnel address of the forwarder at the other end. Throws "invalid" where the path does not have it, or it has no identity. */
export function peerAddress(conn: Connection, mechanism: Mechanism, parameter: typeof sourceSegment | typeof destinationSegment): string {
  const id = mechanism.parameters[parameter];
  const segment = peerSegments(conn, parameter).find((candidate) => candidate.id === id);
  if (segment === undefined) {
    throw new MeshError("invalid", `the node tunnel's ${parameter} ${JSON.stringify(id ?? "")} names no hop of the path on that side`);
  }
  const subject = subjectOf(segment.token);
  if (subject === undefined)
    throw new MeshError("invalid", `the token of ${segment.name} names nobody, so its tunnel address is not known`);
  return tunnelAddress(subject);
}

/** The source lies before this hop, the destination behind it. */
function peerSegments(conn: Connection, parameter: string): readonly PathSegment[] {
  const { index = 0, pathSegments = [] } = conn.path ?? {};
  return parameter === sourceSegment ? pathSegments.slice(0, index) : pathSegments.slice(index + 1);
}
