import type { NetworkService } from "../api/gen/registry/registry.js";
import type { Prover } from "../core/checkTokens.js";
import type { Clock } from "../core/clock.js";
import { MeshError } from "../core/error.js";
import type { Log } from "../core/log.js";
import { matchesService } from "../core/match.js";
import type { TokenSource } from "../core/token.js";
import type { Found, RegistryContext, ServiceRegistry } from "../rpc/registry.js";
import { fenced } from "./fenced.js";
import { found } from "./find.js";
import { type Hops, hopsOf, mayChange, mustOwn } from "./hops.js";
import { serviceKind } from "./kind.js";
import { mustBeOurs, mustHaveName } from "./names.js";
import type { Store } from "./store.js";
import type { View } from "./view.js";

const payloads = ["IP", "ETHERNET"];

export interface ServicesParts {
  readonly store: Store;
  readonly view: View<NetworkService>;
  readonly tokens: TokenSource;
  readonly prover?: Prover | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

/** The services of a site. They stay until somebody unregisters them. */
export class Services implements ServiceRegistry {
  readonly #parts: ServicesParts;

  constructor(parts: ServicesParts) {
    this.#parts = parts;
  }

  /**
   * The owner may change it. Anybody else may announce it, with the same payload and with the same matches or none, which changes
   * nothing: many endpoints announce the service that they serve.
   */
  async register(value: NetworkService, context: RegistryContext): Promise<NetworkService> {
    const { store, view, clock } = this.#parts;
    const service = checked(value);
    const hops = await hopsOf(context, this.#parts, clock.now());
    let stored = service;
    const revision = await fenced(store, keyOf(service), (entry) => {
      stored = entry === undefined ? { ...service, pathIds: [...hops.ids] } : renewed(service, serviceKind.decode(entry), hops);
      const value = serviceKind.encode(stored);
      return entry !== undefined && Buffer.compare(value, entry.value) === 0 ? undefined : { op: "put", key: keyOf(service), value };
    });
    if (revision !== undefined) {
      this.#parts.log.info("network service registered", { name: service.name, payload: stored.payload, by: hops.ids[0] });
      await view.settled(revision, context.signal);
    }
    context.returnPath?.(hops.path);
    return stored;
  }

  async unregister(value: NetworkService, context: RegistryContext): Promise<void> {
    const { store, view, clock } = this.#parts;
    mustHaveName("network service", value.name);
    mustBeOurs("network service", value.name);
    const hops = await hopsOf(context, this.#parts, clock.now());
    const revision = await fenced(store, keyOf(value), (entry) => {
      if (entry === undefined) return undefined;
      mustOwn(`the network service ${value.name}`, hops, serviceKind.decode(entry).pathIds);
      return { op: "delete", key: keyOf(value) };
    });
    if (revision !== undefined) await view.settled(revision, context.signal);
    context.returnPath?.(hops.path);
  }

  find(query: NetworkService, options: { readonly watch: boolean }, context: RegistryContext): AsyncIterable<Found<NetworkService>> {
    mustBeOurs("network service", query.name);
    return found(this.#parts.view, query, options, context.signal);
  }
}

function checked(service: NetworkService): NetworkService {
  mustHaveName("network service", service.name);
  mustBeOurs("network service", service.name);
  const payload = service.payload || "IP";
  if (!payloads.includes(payload))
    throw new MeshError("invalid", `the payload of the network service ${service.name} must be ${payloads.join(" or ")}, got ${payload}`);
  return { ...service, payload };
}

function renewed(service: NetworkService, known: NetworkService, hops: Hops): NetworkService {
  if (mayChange(hops, known.pathIds)) return { ...service, pathIds: ownedBy(known.pathIds, hops) };
  if (service.payload !== known.payload)
    throw new MeshError(
      "denied",
      `the network service ${known.name} is registered with payload ${known.payload} by ${known.pathIds[0]}, not ${service.payload}: serve it with that payload, or choose another name`,
    );
  if (!matchesService(service, known)) mustOwn(`the network service ${known.name}`, hops, known.pathIds);
  return known;
}

/** A hop that looks after it for its owner does not become the owner. */
function ownedBy(stored: readonly string[], { ids }: Hops): string[] {
  const [owner = ""] = stored;
  return owner === "" || owner === ids[0] ? [...ids] : [...stored];
}

function keyOf({ name }: NetworkService): string {
  return serviceKind.prefix + name;
}
