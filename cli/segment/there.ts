import { MeshError } from "../../core/error.js";
import type { NodeClient } from "../../rpc/node.js";

/** Throws "not-found" where the node's site has nothing of that name: that nobody is in it would be only half of the truth. */
export async function mustBeThere(node: Pick<NodeClient, "listServices">, segment: string, signal: AbortSignal): Promise<void> {
  if ((await node.listServices(signal)).some(({ name }) => name === segment)) return;
  throw new MeshError("not-found", `no segment ${segment}; \`nsmctl get segments\` lists those that there are`);
}
