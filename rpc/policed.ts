import type { ConnectionEvent } from "../api/gen/connection/connection.js";
import type { NetworkService, NetworkServiceEndpoint } from "../api/gen/registry/registry.js";
import { askingOf } from "../core/asking.js";
import type { Prover } from "../core/checkTokens.js";
import type { Clock } from "../core/clock.js";
import type { Link } from "../core/peer.js";
import { INITIAL_STATE_TRANSFER } from "../core/states.js";
import type { Gate } from "../identity/policy/gate.js";
import { ofOneSite } from "../identity/spiffe.js";
import { checkCaller } from "./checkCaller.js";
import type { EndpointRegistry, Found, Registry, RegistryContext, ServiceRegistry } from "./registry.js";
import type { MonitorSource } from "./services.js";
import { linked } from "./signals.js";

export interface PolicedParts {
  readonly gate: Gate;
  readonly prover?: Prover | undefined;
  readonly clock: Clock;
}

/** What the policy has to know of the things of a registry. */
interface Form<T> {
  /** Whether a query names what it wants, rather than everything there is. */
  asks(query: T): boolean;
  /** The network services that it is about. */
  services(value: T): readonly string[];
  /** Without the services that `may` leaves out; undefined when nothing is left to see. */
  seen(value: T, may: (service: string) => boolean): T | undefined;
}

const serviceForm: Form<NetworkService> = {
  asks: ({ name }) => name !== "",
  services: ({ name }) => [name],
  seen: (service, may) => (may(service.name) ? service : undefined),
};

const endpointForm: Form<NetworkServiceEndpoint> = {
  asks: ({ name, networkServiceNames }) => name !== "" || networkServiceNames.length > 0,
  services: ({ networkServiceNames: names }) => (names.length === 0 ? [""] : names),
  seen(endpoint, may) {
    const names = endpoint.networkServiceNames.filter(may);
    if (names.length === endpoint.networkServiceNames.length) return names.length > 0 || may("") ? endpoint : undefined;
    if (names.length === 0) return undefined;
    const labels = Object.entries(endpoint.networkServiceLabels).filter(([service]) => names.includes(service));
    return { ...endpoint, networkServiceNames: names, networkServiceLabels: Object.fromEntries(labels) };
  },
};

export function policedServices(registry: ServiceRegistry, parts: PolicedParts): ServiceRegistry {
  return policed(registry, serviceForm, parts);
}

export function policedEndpoints(registry: EndpointRegistry, parts: PolicedParts): EndpointRegistry {
  return policed(registry, endpointForm, parts);
}

/**
 * The registry as the policy lets each caller see and change it: who asked first must be allowed to register, whoever is at the other end
 * of the connection finds what it may find, and what is its own. What starts in this process is not asked.
 */
function policed<T extends { readonly name: string; readonly pathIds: string[] }>(
  registry: Registry<T>,
  form: Form<T>,
  { gate, prover, clock }: PolicedParts,
): Registry<T> {
  return {
    async register(value, context) {
      const tokens = checkCaller(context, clock.now(), prover);
      if (tokens !== undefined) for (const service of form.services(value)) gate.check(askingOf(tokens, prover), "register", service);
      return await registry.register(value, context);
    },
    unregister: (value, context) => registry.unregister(value, context),
    find(query, options, context) {
      const { link } = context;
      if (link === undefined || (!options.watch && gate.allowsAll(link.peer.id, "find"))) return registry.find(query, options, context);
      return visible(query, options, context, link);
    },
  };

  /** A watch ends when the policy changes for its reader, who watches again and learns what is to be seen now. */
  async function* visible(query: T, options: { readonly watch: boolean }, context: RegistryContext, link: Link): AsyncGenerator<Found<T>> {
    const { id } = link.peer;
    // Who is of this site always finds its own; a stranger who may find nothing is told so.
    if (!ofOneSite(id, link.self) && !gate.allowsSome(id, "find"))
      gate.check({ ids: [id], podLabels: {} }, "find", form.services(query)[0] ?? "");
    using stop = linked(context.signal);
    using _listening = gate.onChange(id, "find", () => options.watch && stop.abort());
    const found = registry.find(query, options, { ...context, signal: stop.signal });
    if (gate.allowsAll(id, "find")) yield* found;
    else yield* allowedOnly(query, options, found, id);
  }

  async function* allowedOnly(
    query: T,
    options: { readonly watch: boolean },
    found: AsyncIterable<Found<T>>,
    id: string,
  ): AsyncGenerator<Found<T>> {
    const told = new Map<string, T>();
    for await (const { value, deleted } of found) {
      const before = told.get(value.name);
      const seen = deleted ? undefined : seenBy(id, value);
      if (seen !== undefined) {
        if (options.watch) told.set(value.name, seen);
        yield { value: seen, deleted: false };
        continue;
      }
      // What is not to be seen any more is gone, for this reader.
      if (told.delete(value.name) && before !== undefined) yield { value: before, deleted: true };
      if (!deleted && form.asks(query)) gate.hidden(id, form.services(value)[0] ?? "");
    }
  }

  function seenBy(id: string, value: T): T | undefined {
    return value.pathIds.includes(id) ? value : form.seen(value, (service) => gate.allows(id, "find", service));
  }
}

/** The monitor as the policy lets each viewer see it: on top of what it shows only to who is on a connection's path. */
export function policedMonitor(monitor: MonitorSource, gate: Gate): MonitorSource {
  return {
    watch: (selector, signal, viewer) =>
      viewer === undefined ? monitor.watch(selector, signal) : allowedOnly(monitor.watch(selector, signal, viewer), viewer),
  };

  async function* allowedOnly(events: AsyncIterable<ConnectionEvent>, viewer: string): AsyncGenerator<ConnectionEvent> {
    for await (const event of events) {
      const all = Object.entries(event.connections);
      const shown = all.filter(([, conn]) => gate.allows(viewer, "monitor", conn.networkService));
      const [hidden] = all.filter((one) => !shown.includes(one));
      if (hidden !== undefined) gate.hidden(viewer, hidden[1].networkService, "monitor");
      if (shown.length === all.length) yield event;
      else if (shown.length > 0 || event.type === INITIAL_STATE_TRANSFER) yield { ...event, connections: Object.fromEntries(shown) };
    }
  }
}
