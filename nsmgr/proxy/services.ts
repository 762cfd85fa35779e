import type { NetworkService } from "../../api/gen/registry/registry.js";
import type { Prover } from "../../core/checkTokens.js";
import type { Clock } from "../../core/clock.js";
import { isAway, MeshError } from "../../core/error.js";
import type { TokenSource } from "../../core/token.js";
import { checkCaller } from "../../rpc/checkCaller.js";
import type { Found, RegistryContext, ServiceRegistry } from "../../rpc/registry.js";
import { onward } from "./path.js";
import type { Upstream } from "./upstream.js";

export interface ServiceProxyParts {
  readonly upstream: Upstream<NetworkService>;
  readonly tokens: TokenSource;
  readonly prover: Prover;
  readonly clock: Clock;
}

/** The service registry as this node sees it: the site's, with the answers of before while that is away. */
export class ServiceProxy implements ServiceRegistry {
  readonly #parts: ServiceProxyParts;
  /** What was registered through this nsmgr, to be said again to a registry that forgot. */
  readonly #said = new Map<string, { readonly value: NetworkService; readonly context: Omit<RegistryContext, "signal"> }>();

  constructor(parts: ServiceProxyParts) {
    this.#parts = parts;
  }

  async register(value: NetworkService, context: RegistryContext): Promise<NetworkService> {
    if (value.name === "") throw new MeshError("invalid", "a network service needs a name to be registered");
    this.#check(context);
    const said = this.#said.get(value.name);
    try {
      const registered = await this.#say(value, context);
      this.#said.set(value.name, { value, context: { caller: context.caller, path: context.path } });
      return registered;
    } catch (error) {
      if (said === undefined || !isAway(error)) throw error;
      return said.value;
    }
  }

  async unregister(value: NetworkService, context: RegistryContext): Promise<void> {
    this.#check(context);
    await this.#parts.upstream.registry.unregister(value, onward(context, await this.#parts.tokens()));
    this.#said.delete(value.name);
  }

  async *find(
    query: NetworkService,
    options: { readonly watch: boolean },
    context: RegistryContext,
  ): AsyncGenerator<Found<NetworkService>> {
    if (options.watch) yield* this.#parts.upstream.watch(query, context);
    else for (const value of (await this.#parts.upstream.list(query, context)).values) yield { value, deleted: false };
  }

  /** Registers those of `names` again that came through here and that the registry no longer has. */
  async restore(names: Iterable<string>, signal: AbortSignal): Promise<string[]> {
    const restored: string[] = [];
    for (const name of new Set(names)) {
      const said = this.#said.get(name);
      if (said === undefined || (await this.#has(name, signal))) continue;
      await this.#say(said.value, { ...said.context, signal });
      restored.push(name);
    }
    return restored;
  }

  #check(context: RegistryContext): void {
    checkCaller(context, this.#parts.clock.now(), this.#parts.prover);
  }

  async #has(name: string, signal: AbortSignal): Promise<boolean> {
    const query = { name, payload: "", matches: [], pathIds: [] };
    const { values } = await this.#parts.upstream.list(query, { signal });
    return values.some((value) => value.name === name);
  }

  async #say(value: NetworkService, context: RegistryContext): Promise<NetworkService> {
    return await this.#parts.upstream.registry.register(value, onward(context, await this.#parts.tokens()));
  }
}
