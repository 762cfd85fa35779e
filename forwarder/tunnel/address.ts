import { createHash } from "node:crypto";
import ipaddr from "ipaddr.js";
import type { Connection, Mechanism, PathSegment } from "../../api/gen/connection/connection.js";
import type { Prover } from "../../core/checkTokens.js";
import { MeshError } from "../../core/error.js";
import { decodeJwt } from "../../core/jwt.js";

/** The tunnel address of a node: an IPv6 ULA (RFC 4193) that follows from its forwarder's SPIFFE id, so that nobody can claim another's. */
export function tunnelAddress(spiffeId: string): string {
  const hash = createHash("sha256").update(`isthmus tunnel ${spiffeId}`).digest();
  return ipaddr.fromByteArray([0xfd, ...hash.subarray(0, 15)]).toString();
}

/** Parameters that name, by its id, the path segment of the forwarder at each end: its token says who that is. */
export const sourceSegment = "src_segment";
export const destinationSegment = "dst_segment";

/** What a forwarder's token says besides: the public key of its node tunnel. So nobody else can claim its tunnel address for another key. */
export const tunnelKeyClaim = "isthmus_tunnel_key";

/**
 * The tunnel address of the forwarder at the other end, as its own token proves it: signed with a certificate that is trusted here, and
 * naming the key that is offered. Throws "invalid" where the path does not have it, "denied" where it proves nothing, or something else.
 */
export function peerAddress(end: {
  readonly connection: Connection;
  readonly mechanism: Mechanism;
  readonly parameter: typeof sourceSegment | typeof destinationSegment;
  readonly publicKey: string;
  readonly prover: Prover;
}): string {
  const { connection, mechanism, parameter, publicKey, prover } = end;
  const id = mechanism.parameters[parameter];
  const segment = peerSegments(connection, parameter).find((candidate) => candidate.id === id);
  if (segment === undefined) {
    throw new MeshError("invalid", `the node tunnel's ${parameter} ${JSON.stringify(id ?? "")} names neither of the two hops on that side`);
  }
  const token = decodeJwt(segment.token);
  if (token === undefined) throw new MeshError("denied", `the token of ${segment.name} names nobody, so its tunnel address is not known`);
  if (prover.signerOf(token) !== token.subject)
    throw new MeshError(
      "denied",
      `the token of ${segment.name} does not show that it is of ${token.subject}, whose tunnel address it would get`,
    );
  if (token.claims[tunnelKeyClaim] !== publicKey)
    throw new MeshError("denied", `the node tunnel's key is not the one that ${token.subject} has signed`);
  return tunnelAddress(token.subject);
}

/**
 * The source lies before this hop, the destination behind it, an nsmgr in between. Nobody else: a hop further away has not spoken to us
 * by itself, and whom it once asked could have us begin a tunnel with it, at a place of his choice.
 */
function peerSegments(conn: Connection, parameter: string): readonly PathSegment[] {
  const { index = 0, pathSegments = [] } = conn.path ?? {};
  return parameter === sourceSegment ? pathSegments.slice(Math.max(0, index - 2), index) : pathSegments.slice(index + 1, index + 3);
}
