import { MeshError } from "../../core/error.js";
import type { Context } from "../context.js";
import { type Session, withPeers } from "../session.js";
import { nodeFiles } from "./files.js";
import type { Wait } from "./health.js";
import { registryOf } from "./programs.js";
import type { LabRecord } from "./record.js";

const lifetimeMs = 10 * 60_000;
const pollMs = 50;

/**
 * Joins every two sites of a lab, as `nsmctl site invite` and `nsmctl site join` do. Their registries serve already. A site that lets nobody
 * in can be invited, and cannot invite.
 */
export async function federate(context: Context, lab: LabRecord, step: (text: string) => void): Promise<void> {
  const { signal } = context;
  await withPeers(context.clock, async (peers) => {
    const registry = (site: string) => registryIn(peers, lab, site);
    for (const [at, site] of lab.sites.entries())
      for (const other of lab.sites.slice(0, at)) {
        step(`joining ${site.name} with ${other.name}`);
        const [host, guest] = other.nat?.kind === "closed" ? [site, other] : [other, site];
        const { token } = await registry(host.name).inviteSite({ lifetimeMs }, signal);
        await registry(guest.name).joinSite({ token }, signal);
      }
  });
}

/** Resolves when every site of a lab has reached every other that lets others in. */
export async function waitJoined(lab: LabRecord, wait: Wait, step: (text: string) => void): Promise<void> {
  const end = wait.clock.monotonic() + wait.withinMs;
  const closed = new Set(lab.sites.filter(({ nat }) => nat?.kind === "closed").map(({ name }) => name));
  await withPeers(wait.clock, async (peers) => {
    for (const { name } of lab.sites) {
      step(`waiting for ${name} to reach the other sites`);
      for (;;) {
        const { sites } = await registryIn(peers, lab, name).listSites(wait.signal);
        const missing = sites.find(({ name, state }) => state !== "up" && !closed.has(name));
        if (missing === undefined) break;
        if (wait.clock.monotonic() > end)
          throw new MeshError("unreachable", `the site ${name} does not reach ${missing.name}: ${missing.reason || "no answer yet"}`);
        await wait.clock.sleep(pollMs, wait.signal);
      }
    }
  });
}

function registryIn(peers: Session, lab: LabRecord, site: string): ReturnType<Session["site"]> {
  return peers.site(`unix://${nodeFiles(lab.prefix, registryOf(lab, site).name).admin("registry")}`);
}
