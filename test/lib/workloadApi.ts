import { once } from "node:events";
import { Server, ServerCredentials, type ServerWritableStream, status } from "@grpc/grpc-js";
import { X509SVIDRequest, X509SVIDResponse } from "../../api/gen/spiffe/workload.js";
import type { Identified } from "../../identity/source.js";

type Stream = ServerWritableStream<X509SVIDRequest, X509SVIDResponse>;

/** A small SPIFFE Workload API that does what the standard says: it refuses a call without its metadata and sends every change. */
export class WorkloadApi implements AsyncDisposable {
  readonly socket: string;
  readonly #server = new Server();
  readonly #streams = new Set<Stream>();
  #now: X509SVIDResponse;
  /** How many streams were ever taken and refused. */
  taken = 0;
  refused = 0;

  private constructor(socket: string, first: X509SVIDResponse) {
    this.socket = socket;
    this.#now = first;
  }

  static async serve(path: string, first: X509SVIDResponse): Promise<WorkloadApi> {
    const api = new WorkloadApi(`unix://${path}`, first);
    api.#server.register(
      "/SpiffeWorkloadAPI/FetchX509SVID",
      (call: Stream) => api.#take(call),
      (answer: X509SVIDResponse) => Buffer.from(X509SVIDResponse.encode(answer).finish()),
      (bytes: Buffer) => X509SVIDRequest.decode(bytes),
      "serverStream",
    );
    await new Promise<void>((resolve, reject) =>
      api.#server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error) => (error === null ? resolve() : reject(error))),
    );
    return api;
  }

  /** Sends this to all, and to all who come. */
  send(response: X509SVIDResponse): void {
    this.#now = response;
    for (const stream of this.#streams) stream.write(response);
  }

  /** Breaks the streams, as an agent that is restarted does; resolves when a new one is there. */
  async breakStreams(): Promise<void> {
    const before = this.taken;
    for (const stream of this.#streams) stream.emit("error", { code: status.UNAVAILABLE, details: "the agent is restarted" });
    while (this.taken === before) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown();
  }

  #take(call: Stream): void {
    if (call.metadata.get("workload.spiffe.io")[0] !== "true") {
      this.refused++;
      call.emit("error", { code: status.INVALID_ARGUMENT, details: "security header missing from request" });
      return;
    }
    this.taken++;
    this.#streams.add(call);
    void once(call, "cancelled").then(() => this.#streams.delete(call));
    call.once("error", () => this.#streams.delete(call));
    call.write(this.#now);
  }
}

/** The answer that gives this identity, in DER as the standard has it. */
export function answerWith({ svid, bundles }: Identified, federated: Readonly<Record<string, Buffer>> = {}): X509SVIDResponse {
  const der = (certificates: readonly { readonly raw: Buffer }[]) => Buffer.concat(certificates.map(({ raw }) => raw));
  return X509SVIDResponse.fromPartial({
    svids: [
      {
        spiffeId: svid.id.text,
        x509Svid: der(svid.chain),
        x509SvidKey: svid.privateKey.export({ format: "der", type: "pkcs8" }),
        bundle: der(bundles.get(svid.id.trustDomain) ?? []),
      },
    ],
    federatedBundles: { ...federated },
  });
}
