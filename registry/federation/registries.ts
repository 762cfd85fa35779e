import type { NetworkService, NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import type { Clock } from "../../core/clock.js";
import type { EndpointRegistry, ServiceRegistry } from "../../rpc/registry.js";
import { askedEndpoint, askedService } from "./asked.js";
import { endpointAbroad, serviceAbroad } from "./exported.js";
import { Federated } from "./federated.js";
import type { Federation } from "./federation.js";
import { serviceFrom } from "./fromAbroad.js";

export interface FederatedRegistriesParts {
  /** The own site's. */
  readonly services: ServiceRegistry;
  readonly endpoints: EndpointRegistry;
  readonly federation: Federation;
  /** Services that no other site is asked for. */
  readonly home: readonly string[];
  readonly clock: Clock;
}

/** Both registries of a site together with those of the sites that it is joined with. */
export function federatedRegistries(parts: FederatedRegistriesParts): {
  readonly services: ServiceRegistry;
  readonly endpoints: EndpointRegistry;
} {
  const { federation, clock } = parts;
  const own = federation.sites.name;
  const isHome = (service: string) => parts.home.includes(service);
  return {
    services: new Federated<NetworkService>({
      ...{ own: parts.services, federation, clock },
      asked: (query) => (isHome(query.name) ? { of: "own", query, back: (service) => service } : askedService(query, own)),
      known: ({ name }) => (name === "" || name.includes("@") ? federation.services : federation.plainServices),
      abroad: serviceAbroad,
      imported: serviceFrom,
      there: (peers, url) => peers.services(url),
    }),
    endpoints: new Federated<NetworkServiceEndpoint>({
      ...{ own: parts.endpoints, federation, clock },
      asked: (query) =>
        query.networkServiceNames.some(isHome) ? { of: "own", query, back: (endpoint) => endpoint } : askedEndpoint(query, own),
      known: () => federation.endpoints,
      abroad: endpointAbroad,
      imported: (endpoint, site) => federation.endpointFrom(endpoint, site),
      there: (peers, url) => peers.endpoints(url),
    }),
  };
}
