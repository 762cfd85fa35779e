import { NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import { background } from "../../core/background.js";
import type { Clock } from "../../core/clock.js";
import { afresh } from "../../core/deadline.js";
import { sameMessage } from "../../core/equal.js";
import { asMeshError } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import { Serial } from "../../core/serial.js";
import { fromTimestamp } from "../../core/timestamp.js";
import type { EndpointRegistry } from "../../rpc/registry.js";
import { abortable, linked, onAbort } from "../../rpc/signals.js";

export interface PublicationsParts {
  readonly endpoints: EndpointRegistry;
  /** Under which this forwarder is reached by its nsmgr. */
  readonly url: string;
  /** The registry says that something of what is said of a segment is not this node's. */
  readonly onRefused?: (service: string) => void;
  readonly clock: Clock;
  readonly log: Log;
}

interface Publication {
  readonly service: string;
  readonly labels: Readonly<Record<string, string>>;
  timer: Disposable | undefined;
  failures: number;
  /** Sayings of it that are not answered yet. */
  pending: number;
}

const callMs = 5_000;
const usualMs = 20_000;
const retryMs = { first: 200, longest: 2_000 };

/** What this node says of its part in segments, in the registry: as endpoints, said again before they expire. */
export class Publications implements Disposable {
  readonly #parts: PublicationsParts;
  readonly #said = new Map<string, Publication>();
  /** Last words on their way; who speaks again under that name takes them back. */
  readonly #ending = new Map<string, AbortController>();
  readonly #serial = new Serial();
  #stopped = false;

  constructor(parts: PublicationsParts) {
    this.#parts = parts;
  }

  /** Says it until something else is said under that name. Resolves when the registry has it; it is tried on when that fails. */
  async say(name: string, service: string, labels: Readonly<Record<string, string>>): Promise<void> {
    const said = { service, labels, timer: undefined, failures: 0, pending: 0 };
    this.#said.get(name)?.timer?.[Symbol.dispose]();
    this.#said.set(name, said);
    this.#ending.get(name)?.abort();
    await this.#register(name, said);
  }

  /** Says it once more, where it is something that is said here. */
  again(name: string): void {
    const said = this.#said.get(name);
    if (said !== undefined) background(this.#parts.log, "saying it again", this.#register(name, said));
  }

  /** Hears what the registry has under a name: undefined for nothing. It is said once more where that is not what was said here. */
  heard(name: string, labels: Readonly<Record<string, string>> | undefined): void {
    const said = this.#said.get(name);
    if (said !== undefined && said.pending === 0 && !sameMessage(said.labels, labels)) this.again(name);
  }

  /** Says a last word, and then nothing more. What cannot be said now ends by itself. */
  async end(name: string, lastWord?: Readonly<Record<string, string>>): Promise<void> {
    const said = this.#said.get(name);
    if (said === undefined) return;
    said.timer?.[Symbol.dispose]();
    this.#said.delete(name);
    const life = new AbortController();
    this.#ending.set(name, life);
    await this.#serial.run(name, () => this.#end(name, said.service, lastWord, life.signal));
    if (this.#ending.get(name) === life) this.#ending.delete(name);
  }

  async #end(name: string, service: string, lastWord: Readonly<Record<string, string>> | undefined, life: AbortSignal): Promise<void> {
    const { endpoints, log } = this.#parts;
    const call = async (task: (signal: AbortSignal) => Promise<unknown>) => {
      life.throwIfAborted();
      using limit = linked(life);
      using _late = onAbort(afresh(callMs), () => limit.abort(new DOMException("the registry did not answer", "TimeoutError")));
      await abortable(task(limit.signal), limit.signal);
    };
    try {
      if (lastWord !== undefined) await call((signal) => endpoints.register(this.#endpoint(name, service, lastWord), { signal }));
      await call((signal) => endpoints.unregister(NetworkServiceEndpoint.fromPartial({ name }), { signal }));
    } catch (error) {
      log.debug("not unregistered, it will expire", { name, reason: asMeshError(error).message });
    }
  }

  [Symbol.dispose](): void {
    this.#stopped = true;
    for (const { timer } of this.#said.values()) timer?.[Symbol.dispose]();
  }

  async #register(name: string, said: Publication): Promise<void> {
    said.pending++;
    await this.#serial
      .run(name, () => this.#registered(name, said))
      .finally(() => {
        said.pending--;
      });
  }

  async #registered(name: string, said: Publication): Promise<void> {
    if (this.#said.get(name) !== said || this.#stopped) return;
    try {
      const endpoint = await this.#parts.endpoints.register(this.#endpoint(name, said.service, said.labels), { signal: afresh(callMs) });
      said.failures = 0;
      this.#arm(name, said, this.#renewIn(endpoint));
    } catch (error) {
      if (asMeshError(error).code === "moved") this.#parts.onRefused?.(said.service);
      this.#arm(name, said, Math.min(retryMs.first * 2 ** said.failures++, retryMs.longest));
      throw error;
    }
  }

  #arm(name: string, said: Publication, ms: number): void {
    // What was said instead meanwhile has a time of its own.
    if (this.#stopped || this.#said.get(name) !== said) return;
    said.timer?.[Symbol.dispose]();
    said.timer = this.#parts.clock.after(ms, () => this.again(name));
  }

  #renewIn({ expirationTime }: NetworkServiceEndpoint): number {
    if (expirationTime === undefined) return usualMs;
    return Math.max(1000, ((fromTimestamp(expirationTime) - this.#parts.clock.now()) * 2) / 3);
  }

  #endpoint(name: string, service: string, labels: Readonly<Record<string, string>>): NetworkServiceEndpoint {
    return NetworkServiceEndpoint.fromPartial({
      name,
      networkServiceNames: [service],
      networkServiceLabels: { [service]: { labels: { ...labels } } },
      url: this.#parts.url,
    });
  }
}
