import type { NetworkServiceEndpoint } from "../api/gen/registry/registry.js";
import { firstSuccess } from "./attempts.js";
import { labelled } from "./candidates.js";
import type { Call, Element } from "./chain.js";
import type { Directory } from "./directory.js";
import { MeshError } from "./error.js";
import type { Log } from "./log.js";
import { hasLabels, labelsFor } from "./match.js";
import { nextSegment } from "./path.js";

type Labels = Readonly<Record<string, string>>;

interface Parts {
  readonly directory: Directory;
  readonly serviceName: string;
  readonly ownUrls: () => readonly string[];
  readonly log: Log;
}

/** What a forwarder must have where a service has matches that do not say what. (As in NSM's SDK, `discoverforwarder`.) */
const pointToPoint: Labels = { p2p: "true" };

/**
 * Chooses the forwarder of this node and sets the target; a connection keeps its forwarder while that is registered, also in a reselect.
 * An endpoint of `serviceName` is of this node when its url (as the directory gives it, the one that is dialled) is one of `ownUrls()`.
 */
export function discoverForwarder(parts: Parts): Element {
  const { directory, log } = parts;
  const chosen = new Map<string, NetworkServiceEndpoint>();
  const nameOf = ({ connection }: Call) => chosen.get(connection.id)?.name ?? nextSegment(connection)?.name;

  const local = async (signal: AbortSignal) => {
    const urls = new Set(parts.ownUrls());
    return (await directory.endpointsOf(parts.serviceName, signal)).filter(({ url }) => urls.has(url));
  };
  const candidates = async (call: Call): Promise<NetworkServiceEndpoint[]> => {
    const here = await local(call.signal);
    const kept = here.find(({ name }) => name === nameOf(call));
    return kept === undefined ? fitting(here, await wantedLabels(directory, call), parts.serviceName) : [kept];
  };

  return {
    name: "discoverForwarder",
    async request(call, next) {
      if (call.target !== undefined) return next.request(call);
      return firstSuccess({
        candidates: await candidates(call),
        what: "the forwarder of this node",
        name: ({ name }) => name,
        signal: call.signal,
        attempt: async (forwarder) => {
          const conn = await next.request({ ...call, target: forwarder.url });
          if (chosen.get(conn.id)?.name !== forwarder.name)
            log.debug("forwarder chosen", { connection: conn.id, forwarder: forwarder.name });
          chosen.set(conn.id, forwarder);
          return conn;
        },
      });
    },
    async close(call, next) {
      const known = chosen.get(call.connection.id);
      const here = await local(call.signal).catch(() => []);
      const registered = here.find(({ name }) => name === nameOf(call));
      const target = call.target ?? (registered ?? known)?.url;
      const behind = nextSegment(call.connection)?.name;
      // It may be on its way back, and would keep what nobody else knows of.
      if (target === undefined && behind !== undefined)
        throw new MeshError(
          "unreachable",
          `the forwarder ${JSON.stringify(behind)}, which has this connection, is not registered; close it again when it is`,
        );
      chosen.delete(call.connection.id);
      await next.close({ ...call, target });
    },
  };
}

/** What the requested service's match asks of a forwarder; nothing where the service has no matches or is not known. */
async function wantedLabels(directory: Directory, { connection, signal }: Call): Promise<{ wanted: Labels; client: Labels }> {
  const client = connection.labels;
  const service = await directory.service(connection.networkService, signal);
  const match = service?.matches.find(({ sourceSelector }) => hasLabels(client, sourceSelector, client));
  const wanted = match?.metadata?.labels ?? (service !== undefined && service.matches.length > 0 ? pointToPoint : {});
  return { wanted, client };
}

function fitting(
  here: readonly NetworkServiceEndpoint[],
  { wanted, client }: { wanted: Labels; client: Labels },
  service: string,
): NetworkServiceEndpoint[] {
  if (here.length === 0)
    throw new MeshError(
      "no-forwarder",
      `no forwarder of this node is registered (service ${JSON.stringify(service)}); is nsm-forwarder running?`,
    );
  const found = here.filter((forwarder) => hasLabels(labelsFor(forwarder, service), wanted, client));
  if (found.length > 0) return found;
  const there = here.map((forwarder) => `${forwarder.name} has ${labelled(labelsFor(forwarder, service))}`).join(", ");
  throw new MeshError("no-forwarder", `no forwarder of this node has the labels ${labelled(wanted)}; ${there}`);
}
