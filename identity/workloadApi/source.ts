import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { X509SVIDRequest, X509SVIDResponse } from "../../api/gen/spiffe/workload.js";
import type { Clock } from "../../core/clock.js";
import { asMeshError, MeshError } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import type { Bundles } from "../bundles.js";
import { Held, type Identified, type IdentitySource, sameIdentity } from "../source.js";
import type { Svid } from "../svid.js";
import { readResponse } from "./response.js";

export interface WorkloadApiParts {
  /** Of the agent, as SPIFFE_ENDPOINT_SOCKET says it: unix:///path. */
  readonly socket: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Ends the wait for the first SVID. */
  readonly signal: AbortSignal;
}

const firstPauseMs = 200;
const longestPauseMs = 5_000;
/** An SVID with a chain and many federated bundles. */
const largestMessage = 4 << 20;

/** An identity from a SPIFFE Workload API, such as SPIRE's agent: kept by one stream, which is opened again whenever it breaks. */
export class WorkloadApiSource implements IdentitySource {
  readonly #parts: WorkloadApiParts;
  readonly #client: Client;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #held: Held | undefined;
  #first: () => void = () => {};

  private constructor(parts: WorkloadApiParts) {
    this.#parts = parts;
    this.#client = new Client(target(parts.socket), credentials.createInsecure(), {
      "grpc.default_authority": "localhost",
      "grpc.max_receive_message_length": largestMessage,
      "grpc.enable_http_proxy": 0,
      "grpc.use_local_subchannel_pool": 1,
    });
    this.#running = this.#run();
  }

  /** Resolves with the first SVID there, however long the agent takes. Rejects with the signal's reason. */
  static async open(parts: WorkloadApiParts): Promise<WorkloadApiSource> {
    const source = new WorkloadApiSource(parts);
    try {
      await new Promise<void>((resolve, reject) => {
        const { signal } = parts;
        source.#first = resolve;
        if (signal.aborted) reject(signal.reason);
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      });
      return source;
    } catch (error) {
      await source[Symbol.asyncDispose]();
      throw error;
    }
  }

  get current(): Svid {
    return this.#ready.current;
  }

  get bundles(): Bundles {
    return this.#ready.bundles;
  }

  listen(listener: () => void): Disposable {
    return this.#ready.listen(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
    this.#client.close();
  }

  get #ready(): Held {
    if (this.#held === undefined) throw new MeshError("internal", "the Workload API has not answered yet");
    return this.#held;
  }

  async #run(): Promise<void> {
    const { clock, log, socket } = this.#parts;
    const { signal } = this.#stop;
    let told = "";
    for (let pause = firstPauseMs; !signal.aborted; pause = Math.min(2 * pause, longestPauseMs)) {
      try {
        for await (const message of this.#stream()) {
          this.#take(readResponse(message as X509SVIDResponse, clock.now()));
          pause = firstPauseMs;
          told = "";
        }
      } catch (error) {
        const { message } = asMeshError(error);
        if (!signal.aborted && message !== told) log.warn("Workload API lost", { socket, reason: message });
        told = message;
      }
      await clock.sleep(pause, signal).catch(() => {});
    }
  }

  #stream() {
    const metadata = new Metadata();
    // The agent refuses a call without it: no browser can be made to send it.
    metadata.set("workload.spiffe.io", "true");
    const call = this.#client.makeServerStreamRequest(
      "/SpiffeWorkloadAPI/FetchX509SVID",
      (request: X509SVIDRequest) => Buffer.from(X509SVIDRequest.encode(request).finish()),
      (bytes: Buffer) => X509SVIDResponse.decode(bytes),
      {},
      metadata,
    );
    const cancel = () => call.cancel();
    this.#stop.signal.addEventListener("abort", cancel, { once: true });
    call.once("close", () => this.#stop.signal.removeEventListener("abort", cancel));
    return call;
  }

  #take({ svid, bundles }: Identified): void {
    if (this.#held !== undefined && sameIdentity({ svid, bundles }, { svid: this.current, bundles: this.bundles })) return;
    if (this.#held === undefined) this.#held = new Held(svid, bundles);
    else this.#held.set(svid, bundles);
    this.#parts.log.info("identity from the Workload API", { id: svid.id.text, until: new Date(svid.notAfter).toISOString() });
    this.#first();
  }
}

function target(socket: string): string {
  if (/^unix:\/\/\/.+/.test(socket)) return `unix:${socket.slice("unix://".length)}`;
  throw new MeshError("invalid", `SPIFFE_ENDPOINT_SOCKET must be unix:///path, got ${JSON.stringify(socket)}`);
}
