import { z } from "zod";
import type { NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import { MeshError } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import { labelsFor } from "../../core/match.js";
import { membershipOf } from "../../core/segment/membership.js";
import { stickyLabel } from "../../core/segment/stickyWord.js";
import type { Hops } from "../hops.js";
import type { Store } from "../store.js";
import { blocksPrefix } from "./writing.js";

/**
 * Of an endpoint of a segment, others learn where to send its packets, by the SPIFFE id in its label `id`. Throws "denied" where that is
 * not who registers it, known for sure: nobody can say that another's tunnel is its own, or speak for another's members.
 */
export function mustSayItself(
  endpoint: NetworkServiceEndpoint,
  { ids, proven }: Pick<Hops, "ids" | "proven">,
  isSegment: (service: string) => boolean,
): void {
  const [registrant = ""] = ids;
  for (const service of endpoint.networkServiceNames) {
    if (!isSegment(service)) continue;
    const { id = "", [stickyLabel]: sticky } = labelsFor(endpoint, service);
    if (sticky !== undefined)
      throw new MeshError(
        "denied",
        `${service} is a segment, and who has its sticky names says the registry of its home; register ${endpoint.name} without the label ${stickyLabel}`,
      );
    if (proven && registrant !== "" && id === registrant) continue;
    if (id === "")
      throw new MeshError(
        "denied",
        `${service} is a segment, which pods join with \`nsmctl request-connection ${service}\`; ${endpoint.name} is to serve under another name`,
      );
    const who = proven ? registrant || "a caller without a token" : `${registrant}, which has not proven it,`;
    throw new MeshError(
      "denied",
      `${service} is a segment, so its endpoint ${endpoint.name} must have the label id with the SPIFFE id of who registers it; ${who} says ${id}`,
    );
  }
}

const given = z.object({ holder: z.string() });

/**
 * Others send to a node what is for its address blocks. Throws "moved" where it says that it has one that this registry did not give to it, or
 * gave to another since. `before`: as it was registered last, which was asked about then.
 */
export async function mustHaveBlocks(
  endpoint: NetworkServiceEndpoint,
  before: NetworkServiceEndpoint | undefined,
  { store, isSegment, log }: { readonly store: Pick<Store, "get">; readonly isSegment: (service: string) => boolean; readonly log: Log },
): Promise<void> {
  for (const service of endpoint.networkServiceNames.filter(isSegment)) {
    const known = before && blocksIn(before, service);
    for (const block of blocksIn(endpoint, service)) {
      if (known?.includes(block)) continue;
      const { id = "" } = labelsFor(endpoint, service);
      const entry = await store.get(blocksPrefix(service) + block);
      if (entry !== undefined && given.safeParse(jsonIn(entry.value)).data?.holder === id) continue;
      log.warn("node says that it has a block of addresses which was not given to it", { segment: service, block, node: id });
      throw new MeshError("moved", `${endpoint.name} says that ${id} has ${block} of the segment ${service}, which was not given to it`);
    }
  }
}

function blocksIn(endpoint: NetworkServiceEndpoint, service: string): readonly string[] {
  const membership = membershipOf(endpoint, service);
  return membership?.kind === "node" ? membership.node.blocks : [];
}

function jsonIn(value: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(value).toString("utf8"));
  } catch {
    return undefined;
  }
}
