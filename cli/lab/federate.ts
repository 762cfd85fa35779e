import { MeshError } from "../../core/error.js";
import type { Context } from "../context.js";
import { type Session, withPeers } from "../session.js";
import { nodeFiles } from "./files.js";
import type { Wait } from "./health.js";
import type { NodePlan } from "./layout.js";
import type { LabRecord } from "./record.js";
import { registriesOf, registryOf } from "./registries.js";

const lifetimeMs = 10 * 60_000;
const pollMs = 50;

/**
 * Joins every two sites of a lab, as `nsmctl site invite` and `nsmctl site join` do. Their registries serve already. A site that lets
 * nobody in can be invited, and cannot invite.
 */
export async function federate(context: Context, lab: LabRecord, step: (text: string) => void): Promise<void> {
  const { signal } = context;
  await withPeers(context.clock, async (peers) => {
    const registry = (site: string) => registryAt(peers, lab, registryOf(lab, site));
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
    for (const { node, site } of lab.sites.flatMap(({ name: site }) => registriesOf(lab, site).map((node) => ({ node, site })))) {
      step(`waiting for ${site} to reach the other sites`);
      for (;;) {
        const { sites } = await registryAt(peers, lab, node).listSites(wait.signal);
        const missing = lab.sites.find(
          ({ name }) => name !== site && !closed.has(name) && sites.find((one) => one.name === name)?.state !== "up",
        );
        if (missing === undefined) break;
        const reason = sites.find((one) => one.name === missing.name)?.reason || "no answer yet";
        if (wait.clock.monotonic() > end)
          throw new MeshError("unreachable", `the registry of ${site} on ${node.name} does not reach ${missing.name}: ${reason}`);
        await wait.clock.sleep(pollMs, wait.signal);
      }
    }
  });
}

function registryAt(peers: Session, lab: LabRecord, node: NodePlan): ReturnType<Session["site"]> {
  return peers.site(`unix://${nodeFiles(lab.prefix, node.name).admin("registry")}`);
}
