import { type ChannelCredentials, type ChannelOptions, Client, connectivityState, credentials } from "@grpc/grpc-js";
import type { Clock } from "../core/clock.js";
import { MeshError } from "../core/error.js";
import type { Link } from "../core/peer.js";
import type { Expected } from "../identity/expected.js";
import type { Showing } from "../identity/identity.js";
import { limits } from "./limits.js";
import { abortable } from "./signals.js";
import { LinkCredentials } from "./tls/connect.js";
import { grpcTarget, parseUrl } from "./url.js";

type Channel = ReturnType<Client["getChannel"]>;

const idleMs = 5 * 60_000;

/** A connected channel, held until disposed. */
export interface Lease extends Disposable {
  readonly client: Client;
  /** Who is at the other end; absent without TLS. */
  readonly link: Link | undefined;
  /** When its connection ends because a certificate does, milliseconds since 1970. */
  readonly until: number;
}

export interface ChannelsParts {
  readonly clock: Clock;
  readonly dialTimeoutMs: number;
  /** Without it channels are plain. */
  readonly identity?: Showing | undefined;
  readonly expect?: ((url: string) => Expected) | undefined;
  /** The largest answer that is taken; `limits.answer` unless given. */
  readonly answerBytes?: number | undefined;
}

interface Entry {
  client: Client;
  credentials: LinkCredentials | undefined;
  users: number;
  dialing: Promise<void> | undefined;
  idle: Disposable | undefined;
}

/**
 * One channel per URL, shared by everything that goes there; closed when nobody has used it for five minutes. One whose certificates
 * are not the newest any more, on either side, is left to the calls and streams that it carries, until a certificate ends: who comes next
 * gets another.
 */
export class Channels implements Disposable {
  readonly #parts: ChannelsParts;
  readonly #entries = new Map<string, Entry>();
  readonly #retired = new Set<Entry>();
  #closed = false;

  constructor(parts: ChannelsParts) {
    this.#parts = parts;
  }

  /** How many channels are open. */
  get size(): number {
    return this.#entries.size + this.#retired.size;
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
        link: entry.credentials?.link,
        until: entry.credentials?.until ?? Number.POSITIVE_INFINITY,
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
    for (const entry of [...this.#entries.values(), ...this.#retired]) {
      entry.idle?.[Symbol.dispose]();
      entry.client.close();
    }
    this.#entries.clear();
    this.#retired.clear();
  }

  #enter(url: string): Entry {
    if (this.#closed) throw closed();
    const known = this.#entries.get(url);
    if (known?.credentials?.isOld === true) this.#retire(url, known);
    const entry = this.#entries.get(url) ?? { ...this.#open(url), users: 0, dialing: undefined, idle: undefined };
    this.#entries.set(url, entry);
    entry.users += 1;
    entry.idle?.[Symbol.dispose]();
    entry.idle = undefined;
    return entry;
  }

  #leave(url: string, entry: Entry): void {
    entry.users -= 1;
    if (entry.users > 0) return;
    if (this.#retired.delete(entry)) {
      entry.client.close();
      return;
    }
    if (this.#entries.get(url) !== entry) return;
    entry.idle = this.#parts.clock.after(idleMs, () => {
      this.#entries.delete(url);
      entry.client.close();
    });
  }

  #retire(url: string, entry: Entry): void {
    this.#entries.delete(url);
    entry.idle?.[Symbol.dispose]();
    if (entry.users === 0) entry.client.close();
    else this.#retired.add(entry);
  }

  #open(url: string): Pick<Entry, "client" | "credentials"> {
    const { identity, expect, answerBytes = limits.answer } = this.#parts;
    if (identity === undefined) return { client: open(url, credentials.createInsecure(), answerBytes), credentials: undefined };
    if (expect === undefined) throw new MeshError("internal", `nobody said whom to expect at ${url}`);
    const own = new LinkCredentials({ identity, expected: expect(url), url });
    return { client: open(url, own, answerBytes), credentials: own };
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
      Object.assign(entry, this.#open(url));
    }
    const client = entry.client;
    entry.credentials?.begin();
    let late = false;
    const { clock, dialTimeoutMs } = this.#parts;
    using _timer = clock.after(dialTimeoutMs, () => {
      late = true;
      client.close();
    });
    await settled(client.getChannel());
    if (isReady(client)) return;
    const refusal = entry.credentials?.refusal;
    if (refusal !== undefined) throw refusal;
    if (late) throw new MeshError("unreachable", `${url} did not accept a connection within ${dialTimeoutMs} ms; is it running?`);
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
  try {
    return client.getChannel().getConnectivityState(false) === connectivityState.READY;
  } catch {
    return false;
  }
}

function open(url: string, channelCredentials: ChannelCredentials, answerBytes: number): Client {
  const parsed = parseUrl(url);
  const options: ChannelOptions = {
    "grpc.keepalive_time_ms": 10_000,
    "grpc.keepalive_timeout_ms": 3_000,
    "grpc.keepalive_permit_without_calls": 0,
    "grpc.max_receive_message_length": answerBytes,
    "grpc.max_send_message_length": -1,
    // Sharing is ours to do: grpc-js would also share with other PeerSets of this process.
    "grpc.use_local_subchannel_pool": 1,
    "grpc.service_config_disable_resolution": 1,
    "grpc.enable_http_proxy": 0,
    "grpc.enable_channelz": 0,
    // Servers written in Go refuse the escaped path that would be the authority.
    ...(parsed.kind === "unix" ? { "grpc.default_authority": "localhost" } : {}),
  };
  return new Client(grpcTarget(parsed), channelCredentials, options);
}
