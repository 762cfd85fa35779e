import type { CallOptions, Client, ClientReadableStream, Metadata, ServiceError } from "@grpc/grpc-js";
import { status } from "@grpc/grpc-js";
import type { Clock } from "../core/clock.js";
import { asMeshError, type MeshError } from "../core/error.js";
import { Channels, type ChannelsParts, type Lease } from "./channels.js";
import { readHeaders, writeHeaders } from "./metadata.js";
import { deadlineOf, linked, onAbort } from "./signals.js";
import { fromWire } from "./status.js";
import { expired } from "./tls/ending.js";
import type { Headers, Outgoing, Transport } from "./transport.js";
import { buffer, writeAll } from "./writing.js";

/** Calls over gRPC, on channels that are shared per URL. */
export class GrpcTransport implements Transport {
  readonly #channels: Channels;
  readonly #clock: Clock;

  constructor(parts: ChannelsParts) {
    this.#channels = new Channels(parts);
    this.#clock = parts.clock;
  }

  async unary(url: string, path: string, request: Uint8Array, outgoing: Outgoing): Promise<Uint8Array> {
    const { signal } = outgoing;
    const lease = await this.#lease(url, signal);
    try {
      return await this.#ask(lease, path, request, outgoing, await outgoing.headers(lease.link));
    } catch (error) {
      lease[Symbol.dispose]();
      throw failure(error, url, signal);
    }
  }

  async *stream(url: string, path: string, request: Uint8Array, outgoing: Outgoing): AsyncGenerator<Uint8Array> {
    yield* this.#answers(url, outgoing, (client, metadata) =>
      client.makeServerStreamRequest(path, buffer, same, request, metadata, this.#options(outgoing)),
    );
  }

  async *duplex(url: string, path: string, requests: AsyncIterable<Uint8Array>, outgoing: Outgoing): AsyncGenerator<Uint8Array> {
    using over = linked(outgoing.signal);
    let broken: unknown;
    try {
      yield* this.#answers(url, outgoing, (client, metadata) => {
        const call = client.makeBidiStreamRequest(path, buffer, same, metadata, this.#options(outgoing));
        const failed = (error: unknown) => {
          broken = error;
          call.cancel();
        };
        writeAll(call, requests, over.signal).then(() => call.end(), failed);
        return call;
      });
    } catch (error) {
      throw broken ?? error;
    } finally {
      over.abort();
    }
  }

  async *#answers(
    url: string,
    outgoing: Outgoing,
    begin: (client: Client, metadata: Metadata) => ClientReadableStream<Buffer>,
  ): AsyncGenerator<Uint8Array> {
    const { signal } = outgoing;
    let call: ClientReadableStream<Buffer> | undefined;
    let until = Number.POSITIVE_INFINITY;
    const cancel = () => call?.cancel();
    using _tie = onAbort(signal, cancel);
    try {
      using lease = await this.#lease(url, signal);
      until = lease.until;
      call = begin(lease.client, writeHeaders(await outgoing.headers(lease.link)));
      call.on("metadata", (metadata) => outgoing.onHeaders?.(readHeaders(metadata)));
      if (signal.aborted) cancel();
      // Reading pulls: what nobody reads waits in the peer, held back by HTTP/2's windows.
      for await (const answer of call) yield answer as Buffer;
    } catch (error) {
      // Whichever side has ended it, and by whosever clock.
      if (!signal.aborted) throw this.#clock.now() >= until ? expired() : failure(error, url, signal);
    } finally {
      cancel();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#channels[Symbol.dispose]();
  }

  /** Lets go of the lease when the call is over, a moment after its answer is there. */
  #ask(lease: Lease, path: string, request: Uint8Array, outgoing: Outgoing, headers: Headers): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      // Only a call that went well has an answer, and that nothing follows comes in a packet of its own: nobody has to wait for it.
      const taken = (answer: Buffer) => {
        resolve(answer);
        return answer;
      };
      const finish = (error: ServiceError | null, answer?: Buffer) => {
        tie[Symbol.dispose]();
        lease[Symbol.dispose]();
        if (error !== null) reject(error);
        else resolve(answer ?? new Uint8Array());
      };
      const call = lease.client.makeUnaryRequest(path, buffer, taken, request, writeHeaders(headers), this.#options(outgoing), finish);
      call.on("metadata", (metadata) => outgoing.onHeaders?.(readHeaders(metadata)));
      const tie = onAbort(outgoing.signal, () => call.cancel());
    });
  }

  async #lease(url: string, signal: AbortSignal) {
    try {
      return await this.#channels.lease(url, signal);
    } catch (error) {
      throw asMeshError(error);
    }
  }

  #options({ signal, patienceMs }: Outgoing): CallOptions {
    const known = deadlineOf(signal);
    if (known !== undefined) return { deadline: known };
    return patienceMs === undefined ? {} : { deadline: this.#clock.now() + patienceMs };
  }
}

const same = (answer: Buffer) => answer;

/** A call that we ended ourselves failed for the signal's reason, whatever gRPC says. */
function failure(error: unknown, url: string, signal: AbortSignal): MeshError {
  if (signal.aborted) return asMeshError(signal.reason);
  if (!isServiceError(error)) return asMeshError(error);
  return fromWire({ code: error.code, details: error.details, trailers: readHeaders(error.metadata) }, url);
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && typeof error.code === "number" && error.code in status && "metadata" in error;
}
