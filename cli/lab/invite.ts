import { writePrivate } from "../../identity/privateFile.js";
import type { Context } from "../context.js";
import { withPeers } from "../session.js";
import { nodeFiles } from "./files.js";
import type { NodePlan } from "./layout.js";
import type { LabRecord } from "./record.js";
import { registryOf } from "./registries.js";

const lifetimeMs = 10 * 60_000;

/** Invites a node at its registry, as `nsmctl node invite` does, and leaves the token where the node's programs look for it. */
export async function inviteNode(context: Context, lab: LabRecord, node: NodePlan): Promise<void> {
  const registry = nodeFiles(lab.prefix, registryOf(lab, node.site).name);
  const { token } = await withPeers(context.clock, (peers) =>
    peers.site(`unix://${registry.admin("registry")}`).inviteNode({ node: node.name, lifetimeMs }, context.signal),
  );
  writePrivate(nodeFiles(lab.prefix, node.name).joinToken, `${token}\n`);
}
