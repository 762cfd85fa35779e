import { connectionStates } from "../core/connectionStates.js";
import type { Meter } from "../core/meter.js";
import type { Monitor } from "../core/monitor.js";
import type { Attachments } from "./attachments/attachments.js";
import type { Hosts } from "./hosted/hosts.js";

/** What a node's manager has, as of the moment somebody asks. */
export function nsmgrGauges(
  meter: Meter,
  parts: {
    readonly monitor: Monitor;
    readonly served: Monitor;
    readonly attachments: Attachments;
    readonly hosts: Hosts;
    readonly registryReachable: () => boolean;
  },
): void {
  const { monitor, served, attachments, hosts } = parts;
  connectionStates(meter, "nsmgr", monitor);
  connectionStates(meter, "endpoint", served);
  meter.gauge("isthmus_attachments", "Connections that this node keeps on behalf of pods", ["state"], () =>
    [...attachments.states()].map(([state, count]) => [{ state }, count]),
  );
  meter.gauge("isthmus_served_endpoints", "Endpoints that this node serves for pods", [], () => [[{}, hosts.size]]);
  meter.gauge("isthmus_registry_reachable", "Whether the site's registry answers: 1 or 0", [], () => [
    [{}, parts.registryReachable() ? 1 : 0],
  ]);
}
