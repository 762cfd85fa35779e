import { NetworkService, NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import type { Prover } from "../../core/checkTokens.js";
import type { Clock } from "../../core/clock.js";
import { MeshError } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import type { TokenSource } from "../../core/token.js";
import { type Form, messageText, persisted } from "../../program/persisted.js";
import type { StateStore } from "../../program/state.js";
import type { PeerSet } from "../../rpc/peers.js";
import type { Registry } from "../../rpc/registry.js";
import { replicas } from "../../rpc/replicas.js";
import { EndpointProxy } from "./endpoints.js";
import { Keeper } from "./keeper.js";
import { type LocalEndpoint, LocalEndpoints } from "./local.js";
import { ServiceProxy } from "./services.js";
import { Upstream } from "./upstream.js";

export interface ProxyParts {
  readonly peers: Pick<PeerSet, "services" | "endpoints">;
  /** At least one; replicas of one registry. */
  readonly registryUrls: readonly string[];
  readonly ownUrl: string;
  readonly site: string;
  readonly store: StateStore;
  readonly resolveUrl: (url: string) => Promise<string>;
  readonly tokens: TokenSource;
  readonly prover: Prover;
  readonly clock: Clock;
  readonly log: Log;
}

/** The registry of this node: what nsmgr serves, and uses itself. */
export interface RegistryProxy extends AsyncDisposable {
  readonly services: ServiceProxy;
  readonly endpoints: EndpointProxy;
  readonly local: LocalEndpoints;
  /** Whether the site's registry answers. */
  readonly reachable: boolean;
}

type Written = Omit<LocalEndpoint, "endpoint"> & { readonly endpoint: string };
const endpointText = messageText(NetworkServiceEndpoint);
const form: Form<LocalEndpoint, Written> = {
  write: (entry) => ({ ...entry, endpoint: endpointText.write(entry.endpoint) }),
  read: (written) => ({ ...written, endpoint: endpointText.read(written.endpoint) }),
};

/** What there is at each of the registry's urls. Throws "invalid" without one. */
export function atAll<T>(registryUrls: readonly string[], at: (url: string) => T): readonly [T, ...T[]] {
  const [first, ...others] = registryUrls.map(at);
  if (first === undefined) throw new MeshError("invalid", "NSM_REGISTRY_URL must name at least one registry");
  return [first, ...others];
}

export function startProxy(parts: ProxyParts): RegistryProxy {
  const { peers, registryUrls, ownUrl, site, tokens, prover, clock, log } = parts;
  const anyOf = <T>(at: (url: string) => Registry<T>): Registry<T> => replicas(atAll(registryUrls, at), clock);
  const local = new LocalEndpoints({ kept: persisted(parts.store, "local/", form), clock });
  const upstreamServices = new Upstream<NetworkService>({
    ...{ registry: anyOf((url) => peers.services(url)), name: (value) => value.name, clock, log },
    key: messageText(NetworkService).write,
  });
  const upstream = new Upstream<NetworkServiceEndpoint>({
    ...{ registry: anyOf((url) => peers.endpoints(url)), name: (value) => value.name, clock, log },
    key: endpointText.write,
  });
  const services = new ServiceProxy({ upstream: upstreamServices, tokens, prover, clock });
  const endpoints = new EndpointProxy({ local, upstream, ownUrl, site, resolveUrl: parts.resolveUrl, tokens, prover, clock, log });
  const keeper = new Keeper({ local, upstream, endpoints, services, ownUrl, clock, log });
  return {
    ...{ services, endpoints, local },
    get reachable() {
      return keeper.reachable;
    },
    async [Symbol.asyncDispose]() {
      await keeper[Symbol.asyncDispose]();
      local[Symbol.dispose]();
    },
  };
}
