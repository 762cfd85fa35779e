import type { Context } from "../context.js";
import { withPeers } from "../session.js";
import { nodeFiles } from "./files.js";
import { registryOf } from "./programs.js";
import type { LabRecord } from "./record.js";

const lifetimeMs = 10 * 60_000;

/** Joins every two sites of a lab, as `nsmctl site invite` and `nsmctl site join` do. Their registries serve already. */
export async function federate(context: Context, lab: LabRecord, step: (text: string) => void): Promise<void> {
  const { signal } = context;
  await withPeers(context.clock, async (peers) => {
    const registry = (site: string) => peers.site(`unix://${nodeFiles(lab.prefix, registryOf(lab, site).name).admin("registry")}`);
    for (const [at, site] of lab.sites.entries())
      for (const other of lab.sites.slice(0, at)) {
        step(`joining ${site.name} with ${other.name}`);
        const { token } = await registry(other.name).inviteSite({ lifetimeMs }, signal);
        await registry(site.name).joinSite({ token }, signal);
      }
  });
}
