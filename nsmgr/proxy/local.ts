import type { NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import type { Token } from "../../core/chain.js";
import type { Clock } from "../../core/clock.js";
import { subjectOf } from "../../core/jwt.js";
import type { Persisted } from "../../program/persisted.js";
import type { RegistryPath } from "../../rpc/registry.js";

/** An endpoint of this node, as its registrant last told it. */
export interface LocalEndpoint {
  /** With the url under which this node's programs reach it. */
  readonly endpoint: NetworkServiceEndpoint;
  /** Milliseconds since 1970; nobody but the registrant moves it. */
  readonly expires: number;
  /** What came with the registration, for saying it again on the registrant's behalf. */
  readonly caller?: Token | undefined;
  readonly path?: RegistryPath | undefined;
}

/** Who registered it: the first of the hops that it came by. */
export function ownerOf({ caller, path }: LocalEndpoint): string | undefined {
  return subjectOf((path?.index ? path.tokens[0] : caller?.token) ?? "");
}

/** Hears the name of a local endpoint that came, changed or went. */
export type LocalListener = (name: string) => void;

/**
 * The endpoints of this node by name, until they expire. They are on disk too, so that a restarted nsmgr answers
 * for what still serves, also while the registry is away.
 */
export class LocalEndpoints implements Disposable {
  readonly #kept: Persisted<LocalEndpoint>;
  readonly #clock: Clock;
  readonly #entries = new Map<string, LocalEndpoint>();
  readonly #listeners = new Set<LocalListener>();
  #timer: Disposable | undefined;

  constructor(parts: { readonly kept: Persisted<LocalEndpoint>; readonly clock: Clock }) {
    this.#kept = parts.kept;
    this.#clock = parts.clock;
    for (const [name, entry] of parts.kept.entries()) this.#entries.set(name, entry);
    this.#arm();
  }

  get(name: string): LocalEndpoint | undefined {
    const entry = this.#entries.get(name);
    return entry !== undefined && entry.expires > this.#clock.now() ? entry : undefined;
  }

  all(): LocalEndpoint[] {
    const now = this.#clock.now();
    return [...this.#entries.values()].filter((entry) => entry.expires > now);
  }

  /** Resolves when it is on disk; it is found at once. */
  async put(entry: LocalEndpoint): Promise<void> {
    const name = entry.endpoint.name;
    this.#entries.set(name, entry);
    this.#arm();
    this.#tell(name);
    await this.#kept.put(name, entry);
  }

  async remove(name: string): Promise<void> {
    if (this.#entries.delete(name)) this.#tell(name);
    await this.#kept.remove(name);
  }

  listen(listener: LocalListener): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#listeners.clear();
  }

  #tell(name: string): void {
    for (const listener of [...this.#listeners]) listener(name);
  }

  /** One timer, for whichever expires first. */
  #arm(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    if (this.#entries.size === 0) return;
    const first = Math.min(...[...this.#entries.values()].map((entry) => entry.expires));
    this.#timer = this.#clock.after(first - this.#clock.now(), () => this.#expire());
  }

  #expire(): void {
    const now = this.#clock.now();
    for (const [name, entry] of this.#entries) if (entry.expires <= now) void this.remove(name).catch(() => {});
    this.#arm();
  }
}
