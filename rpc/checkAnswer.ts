import type { Connection } from "../api/gen/connection/connection.js";
import { checkNextToken } from "../core/checkTokens.js";
import { MeshError } from "../core/error.js";
import type { Peer } from "../core/peer.js";

/**
 * What a next hop answered, with the path up to us as we said it: that part is not the next hop's to change. Throws "denied" unless
 * the hop after us has a token of its own there.
 */
export function checkAnswer(asked: Connection, answer: Connection, peer: Peer, now: number): Connection {
  const index = asked.path?.index ?? 0;
  const own = asked.path?.pathSegments.slice(0, index + 1) ?? [];
  const behind = answer.path?.pathSegments.slice(index + 1) ?? [];
  const [next] = behind;
  if (answer.path === undefined || next === undefined)
    throw new MeshError("denied", `${peer.id} answered without a segment of its own in the path`);
  checkNextToken(next, peer, now);
  // The metrics of our own segment and those before are ours, too; what the answer has there is what we said.
  return { ...answer, path: { ...answer.path, pathSegments: [...own, ...behind] } };
}
