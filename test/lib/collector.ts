import { once } from "node:events";
import { type AddressInfo, createServer, type Server as Listener } from "node:net";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { Server, ServerCredentials, type ServerUnaryCall } from "@grpc/grpc-js";
import { within } from "../../kernel/netns.js";

/** A span as a collector got it. Ids in hexadecimal; no parent is "". */
export interface CollectedSpan {
  /** `service.name` of the program. */
  readonly program: string;
  readonly name: string;
  readonly kind: "internal" | "server" | "client";
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
  readonly attributes: Readonly<Record<string, string | number>>;
  /** What it failed with. */
  readonly error: string | undefined;
  readonly nanoseconds: bigint;
}

const kinds = ["internal", "server", "client"] as const;
const path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/** A collector of traces: OTLP over gRPC in clear text, read by hand. */
export class Collector implements AsyncDisposable {
  readonly spans: CollectedSpan[] = [];
  readonly #server = new Server();
  readonly #listeners: Listener[] = [];
  readonly #injector;

  constructor() {
    const same = (bytes: Buffer) => bytes;
    const take = (call: ServerUnaryCall<Buffer, Buffer>, answer: (error: null, value: Buffer) => void) => {
      this.spans.push(...spansIn(call.request));
      answer(null, Buffer.alloc(0));
    };
    this.#server.register(path, take, same, same, "unary");
    this.#injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
  }

  /** Listens on loopback; resolves with HOST:PORT. */
  async listen(): Promise<string> {
    const listener = this.#listener().listen(0, "127.0.0.1");
    await once(listener, "listening");
    return `127.0.0.1:${(listener.address() as AddressInfo).port}`;
  }

  /** Listens in a network namespace. */
  async listenIn(netns: string, port: number): Promise<void> {
    const listener = this.#listener();
    // Without a host the socket is made before this returns: in that namespace.
    within(netns, () => listener.listen(port));
    await once(listener, "listening");
  }

  /** The spans of one trace, parents before their children. */
  trace(traceId: string): CollectedSpan[] {
    const all = this.spans.filter((span) => span.traceId === traceId);
    const ids = new Set(all.map(({ spanId }) => spanId));
    const below = (parent: string): CollectedSpan[] =>
      all.filter(({ parentId }) => parentId === parent).flatMap((span) => [span, ...below(span.spanId)]);
    return [...new Set(all.map(({ parentId }) => parentId))].filter((parent) => !ids.has(parent)).flatMap(below);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const listener of this.#listeners) listener.close();
    this.#server.forceShutdown();
    this.#injector.destroy();
  }

  #listener(): Listener {
    const listener = createServer((socket) => this.#injector.injectConnection(socket));
    this.#listeners.push(listener);
    return listener;
  }
}

/** A message as its fields' numbers and values: bytes, or a number. */
type Fields = ReadonlyMap<number, readonly (Uint8Array | bigint)[]>;

function fieldsOf(bytes: Uint8Array): Fields {
  const reader = new BinaryReader(bytes);
  const fields = new Map<number, (Uint8Array | bigint)[]>();
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    fields.set(field, [...(fields.get(field) ?? []), readValue(reader, type, field)]);
  }
  return fields;
}

function readValue(reader: BinaryReader, type: WireType, field: number): Uint8Array | bigint {
  if (type === WireType.LengthDelimited) return reader.bytes();
  if (type === WireType.Varint) return BigInt(reader.uint64());
  if (type === WireType.Bit64) return BigInt(reader.fixed64());
  reader.skip(type, field);
  return 0n;
}

const messages = (fields: Fields, field: number) => (fields.get(field) ?? []).map((value) => fieldsOf(value as Uint8Array));
const bytesOf = (fields: Fields, field: number) => Buffer.from((fields.get(field)?.[0] ?? new Uint8Array()) as Uint8Array);
const textOf = (fields: Fields, field: number) => bytesOf(fields, field).toString();
const numberOf = (fields: Fields, field: number) => (fields.get(field)?.[0] ?? 0n) as bigint;

// The numbers of fields are those of opentelemetry/proto/trace/v1 and common/v1.

function spansIn(request: Buffer): CollectedSpan[] {
  return messages(fieldsOf(request), 1).flatMap((resourceSpans) => {
    const resource = messages(resourceSpans, 1).map((one) => attributesIn(one, 1))[0];
    const program = String(resource?.["service.name"]);
    return messages(resourceSpans, 2)
      .flatMap((scope) => messages(scope, 2))
      .map((span) => spanOf(program, span));
  });
}

function spanOf(program: string, span: Fields): CollectedSpan {
  const [status] = messages(span, 15);
  return {
    program,
    name: textOf(span, 5),
    kind: kinds[Number(numberOf(span, 6)) - 1] ?? "internal",
    traceId: bytesOf(span, 1).toString("hex"),
    spanId: bytesOf(span, 2).toString("hex"),
    parentId: bytesOf(span, 4).toString("hex"),
    attributes: attributesIn(span, 9),
    error: status !== undefined && numberOf(status, 3) === 2n ? textOf(status, 2) : undefined,
    nanoseconds: numberOf(span, 8) - numberOf(span, 7),
  };
}

function attributesIn(fields: Fields, field: number): Record<string, string | number> {
  return Object.fromEntries(
    messages(fields, field).map((pair) => {
      const value = messages(pair, 2)[0] ?? new Map();
      return [textOf(pair, 1), value.has(1) ? textOf(value, 1) : Number(numberOf(value, 3))];
    }),
  );
}
