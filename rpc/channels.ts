import { type ChannelOptions, Client, connectivityState, credentials } from "@grpc/grpc-js";
import type { Clock } from "../core/clock.js";
import { MeshError } from "../core/error.js";
import { limits } from "./limits.js";
import { abortable } from "./signals.js";
import { grpcTarget, parseUrl } from "./url.js";

type Channel = ReturnType<Client["getChannel"]>;

const idleMs = 5 * 60_000;

/** A connected channel, held until disposed. */
export interface Lease extends Disposable {
  readonly client: Client;
}

interface Entry {
  client: Client;
  users: number;
  dialing: Promise<void> | undefined;
  idle: Disposable | undefined;
}

/** One channel per URL, shared by everything that goes there; closed when nobody has used it for five minutes. */
export class Channels implements Disposable {
  readonly #clock: Clock;
  readonly #dialTimeoutMs: number;
  readonly #entries = new Map<string, Entry>();
  #closed = false;

  constructor(parts: { readonly clock: Clock; readonly dialTimeoutMs: number }) {
    this.#clock = parts.clock;
    this.#dialTimeoutMs = parts.dialTimeoutMs;
  }

  /** How many channels are open. */
  get size(): number {
    return this.#entries.size;
  }

  /**
   * The URL's channel, connected, or about to say why it cannot. Rejects with "unreachable" when it takes longer than the
   * dial timeout, and with the signal's reason.
   */
  async lease(url: string, signal: AbortSignal): Promise<Lease> {
    const entry = this.#enter(url);
    try {
      if (!isReady(entry.client)) await abortable(this.#dial(url, entry), signal);
      if (this.#closed) throw closed();
      let held = true;
      return {
        client: entry.client,
        [Symbol.dispose]: () => {
          if (held) this.#leave(url, entry);
          held = false;
        },
      };
    } catch (error) {
      this.#leave(url, entry);
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    for (const entry of this.#entries.values()) {
      entry.idle?.[Symbol.dispose]();
      entry.client.close();
    }
    this.#entries.clear();
  }

  #enter(url: string): Entry {
    if (this.#closed) throw closed();
    const entry = this.#entries.get(url) ?? { client: open(url), users: 0, dialing: undefined, idle: undefined };
    this.#entries.set(url, entry);
    entry.users += 1;
    entry.idle?.[Symbol.dispose]();
    entry.idle = undefined;
    return entry;
  }

  #leave(url: string, entry: Entry): void {
    entry.users -= 1;
    if (entry.users > 0 || this.#entries.get(url) !== entry) return;
    entry.idle = this.#clock.after(idleMs, () => {
      this.#entries.delete(url);
      entry.client.close();
    });
  }

  /** One dial at a time per URL; who comes meanwhile waits for the same one. */
  #dial(url: string, entry: Entry): Promise<void> {
    entry.dialing ??= this.#connect(url, entry).finally(() => {
      entry.dialing = undefined;
    });
    return entry.dialing;
  }

  async #connect(url: string, entry: Entry): Promise<void> {
    const state = entry.client.getChannel().getConnectivityState(false);
    // A channel that failed would sit out its back-off first; a new one tries at once.
    if (state === connectivityState.TRANSIENT_FAILURE || state === connectivityState.SHUTDOWN) {
      entry.client.close();
      entry.client = open(url);
    }
    const client = entry.client;
    let late = false;
    using _timer = this.#clock.after(this.#dialTimeoutMs, () => {
      late = true;
      client.close();
    });
    await settled(client.getChannel());
    if (late) throw new MeshError("unreachable", `${url} did not accept a connection within ${this.#dialTimeoutMs} ms; is it running?`);
  }
}

/** Connected, refused or closed: no longer on the way. A refusal is left to the call, which learns the reason. */
async function settled(channel: Channel): Promise<void> {
  for (;;) {
    const state = stateOf(channel);
    if (state !== connectivityState.IDLE && state !== connectivityState.CONNECTING) return;
    await new Promise<void>((resolve) => channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, () => resolve()));
  }
}

function stateOf(channel: Channel): connectivityState {
  try {
    return channel.getConnectivityState(true);
  } catch {
    return connectivityState.SHUTDOWN;
  }
}

function closed(): MeshError {
  return new MeshError("cancelled", "this program is stopping and calls nobody any more");
}

function isReady(client: Client): boolean {
  return client.getChannel().getConnectivityState(false) === connectivityState.READY;
}

function open(url: string): Client {
  const parsed = parseUrl(url);
  const options: ChannelOptions = {
    "grpc.keepalive_time_ms": 10_000,
    "grpc.keepalive_timeout_ms": 3_000,
    "grpc.keepalive_permit_without_calls": 0,
    "grpc.max_receive_message_length": limits.answer,
    "grpc.max_send_message_length": -1,
    // Sharing is ours to do: grpc-js would also share with other PeerSets of this process.
    "grpc.use_local_subchannel_pool": 1,
    "grpc.service_config_disable_resolution": 1,
    "grpc.enable_http_proxy": 0,
    "grpc.enable_channelz": 0,
    // Servers written in Go refuse the escaped path that would be the authority.
    ...(parsed.kind === "unix" ? { "grpc.default_authority": "localhost" } : {}),
  };
  return new Client(grpcTarget(parsed), credentials.createInsecure(), options);
}
