import assert from "node:assert/strict";
import type { Attachment } from "../../../api/gen/isthmus/v1/node.js";
import type { Mesh } from "../mesh.js";

/** A signal that never ends. */
export const patience = new AbortController().signal;

/** The names along the path. */
export function namesOf(attachment: Attachment): string[] {
  return attachment.connection?.path?.pathSegments.map(({ name }) => name) ?? [];
}

/** What connections have left behind, as an operator would list it; endpoints that serve are none of it. */
export async function leftovers(mesh: Mesh): Promise<string[]> {
  const left: string[] = [];
  for (const node of mesh.nodes) {
    for (const one of node.forwarder.interfaces.list()) left.push(`${node.name}: interface ${one}`);
    for (const { id } of node.forwarder.connections) left.push(`${node.name}: connection ${id} in the forwarder`);
    for (const { id } of await node.client.listConnections(patience)) left.push(`${node.name}: connection ${id} in nsmgr`);
    for (const key of [...node.disk.keys("attachment/"), ...node.disk.keys("lease/")]) left.push(`${node.name}: ${key} on disk`);
  }
  return left;
}

/** Waits until nothing of any connection is left, at most a second. */
export async function nothingLeft(mesh: Mesh): Promise<void> {
  try {
    await mesh.until("nothing is left", 1_000, async () => (await leftovers(mesh)).length === 0);
  } catch {
    assert.deepEqual(await leftovers(mesh), []);
  }
}
