import type { InviteNodeRequest, JoinRequest, RenewRequest } from "../api/gen/isthmus/v1/identity.js";
import { MeshError } from "../core/error.js";
import { checkName } from "./check.js";

/** A P-256 key has 91 bytes; some room for other ways to write it. */
const longestKey = 512;
const longestSecret = 64;

export function checkJoin({ program, node, invitation, secret }: JoinRequest): void {
  checkName("the program", program);
  checkNode(node);
  checkName("the invitation", invitation);
  if (secret.length > longestSecret)
    throw new MeshError("invalid", `the secret has ${secret.length} bytes; at most ${longestSecret} are taken`);
}

export function checkRenew({ publicKey }: RenewRequest): void {
  if (publicKey.length === 0 || publicKey.length > longestKey)
    throw new MeshError("invalid", `the public key must have 1 to ${longestKey} bytes, got ${publicKey.length}`);
}

export function checkInvite({ node }: InviteNodeRequest): void {
  checkNode(node);
}

/** A node's name is a part of its programs' SPIFFE ids. */
function checkNode(name: string): void {
  if (/^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/.test(name)) return;
  throw new MeshError(
    "invalid",
    `a node's name is made of letters, digits and - _ ., at most 63, and begins and ends with a letter or digit, got ${JSON.stringify(name.slice(0, 100))}`,
  );
}
