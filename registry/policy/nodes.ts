import { NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import { type Needs, needsOf } from "../../identity/policy/lockout.js";
import type { EndpointRegistry } from "../../rpc/registry.js";
import { memberPaths } from "../admission/members.js";
import type { Store } from "../store.js";

/** The programs of the site's own nodes: those that joined here, and those that are registered, whoever gave them their identities. */
export async function siteNodes(parts: {
  readonly store: Store;
  readonly trustDomain: string;
  readonly endpoints: EndpointRegistry;
  /** The network service that forwarders serve. */
  readonly forwarderService: string;
}): Promise<Needs[]> {
  const { store, trustDomain, endpoints, forwarderService } = parts;
  const prefix = `spiffe://${trustDomain}/`;
  const programs = new Map<string, "nsmgr" | "forwarder">();
  // What an id says is known only of those that our own authority gave.
  for (const path of await memberPaths(store))
    programs.set(`spiffe://${trustDomain}${path}`, path.endsWith("/forwarder") ? "forwarder" : "nsmgr");
  const query = NetworkServiceEndpoint.fromPartial({ networkServiceNames: [forwarderService] });
  // The forwarder and its nsmgr; the registry itself is the last.
  for await (const { value } of endpoints.find(query, { watch: false }, { signal: new AbortController().signal }))
    for (const [at, id] of value.pathIds.slice(0, -1).entries())
      if (id.startsWith(prefix)) programs.set(id, at === 0 ? "forwarder" : "nsmgr");
  return [...programs].sort().map(([id, program]) => needsOf(id, program, forwarderService));
}
