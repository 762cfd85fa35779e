import assert from "node:assert/strict";
import type { Connection, ConnectionEvent, Mechanism, PathSegment } from "../../api/gen/connection/connection.js";
import type { NetworkService, NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import type { Call, Element, Handler } from "../../core/chain.js";
import type { Clock } from "../../core/clock.js";
import type { Directory } from "../../core/directory.js";
import { type ErrorCode, MeshError } from "../../core/error.js";
import { UP } from "../../core/states.js";
import { toTimestamp } from "../../core/timestamp.js";
import type { TokenSource } from "../../core/token.js";

/** A signal that nobody ends. */
export const unending = new AbortController().signal;

/** A path segment, as `name/id` writes it. */
export function segment(written: string, part: Partial<PathSegment> = {}): PathSegment {
  const [name = "", id = ""] = written.split("/");
  return { name, id, token: "", expires: undefined, metrics: {}, ...part };
}

/** A connection whose path is `segments`, seen from the one at `index`; its id is that segment's. */
export function connection(part: Partial<Connection> = {}, segments: readonly (string | PathSegment)[] = [], index = 0): Connection {
  const pathSegments = segments.map((each) => (typeof each === "string" ? segment(each) : each));
  return {
    id: pathSegments[index]?.id ?? "c1",
    networkService: "intranet",
    mechanism: undefined,
    context: undefined,
    labels: {},
    path: segments.length === 0 ? undefined : { index, pathSegments },
    networkServiceEndpointName: "",
    payload: "",
    state: UP,
    ...part,
  };
}

export function callOf(conn: Connection, part: Partial<Call> = {}): Call {
  return { connection: conn, preferences: [], signal: unending, ...part };
}

export function mechanism(type: string, parameters: Record<string, string> = {}): Mechanism {
  return { cls: type === "KERNEL" ? "LOCAL" : "REMOTE", type, parameters };
}

/** The path as a person writes it, the own segment in brackets: `client/c1 [nsmgr/n1] forwarder/f1`. */
export function pathText(conn: Connection): string {
  const { index = 0, pathSegments = [] } = conn.path ?? {};
  return pathSegments.map(({ name, id }, i) => (i === index ? `[${name}/${id}]` : `${name}/${id}`)).join(" ");
}

/** Ids that count: `prefix1`, `prefix2`. */
export function counting(prefix: string): () => string {
  let count = 0;
  return () => `${prefix}${++count}`;
}

/** Tokens of one program that last `lifetimeMs` from when they are asked for. */
export function tokensOf(name: string, clock: Clock, lifetimeMs = 600_000): TokenSource {
  return async () => ({ token: `token-of-${name}`, expires: clock.now() + lifetimeMs });
}

/** Writes down what passes: `request`, `answer`, `failure` and `close`, each with the element's name. */
export function recorder(name: string, lines: string[]): Element {
  return {
    name,
    async request(call, next) {
      lines.push(`request ${name}`);
      try {
        const conn = await next.request(call);
        lines.push(`answer ${name}`);
        return conn;
      } catch (error) {
        lines.push(`failure ${name}`);
        throw error;
      }
    },
    async close(call, next) {
      lines.push(`close ${name}`);
      await next.close(call);
    },
  };
}

/** An element that holds one thing per connection while it is there: what a rollback must leave empty. */
export function holder(name: string): Element & { readonly held: Set<string> } {
  const held = new Set<string>();
  return {
    name,
    held,
    async request(call, next) {
      held.add(call.connection.id);
      return next.request(call);
    },
    async close(call, next) {
      await next.close(call);
      held.delete(call.connection.id);
    },
  };
}

/** Fails the request when armed, once: on its way in, or on its way back when everything behind has succeeded. */
export function failOnce(when: "in" | "back", error: Error = new MeshError("kernel", "the kernel refused")): Element & { arm(): void } {
  let armed = false;
  const fail = (now: typeof when) => {
    if (!armed || now !== when) return;
    armed = false;
    throw error;
  };
  return {
    name: "failOnce",
    arm() {
      armed = true;
    },
    async request(call, next) {
      fail("in");
      const conn = await next.request(call);
      fail("back");
      return conn;
    },
  };
}

/** The end of a chain that does what a test says, and keeps the calls. */
export function tailOf(answer: (call: Call) => Promise<Connection> | Connection = ({ connection: conn }) => conn): Handler & {
  readonly requests: Call[];
  readonly closes: Call[];
} {
  const requests: Call[] = [];
  const closes: Call[] = [];
  return {
    requests,
    closes,
    async request(call) {
      requests.push(call);
      return answer(call);
    },
    async close(call) {
      closes.push(call);
    },
  };
}

/** A promise and the two ways to settle it. */
export function deferred<T = void>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: unknown) => void } {
  let resolve: (value: T) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

/** Rejects with a MeshError of that code whose message has `words`. */
export async function failsWith(code: ErrorCode, words: string | RegExp, task: Promise<unknown>): Promise<MeshError> {
  const error = await task.then(
    () => assert.fail(`it succeeded; ${code} was expected`),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof MeshError, String(error));
  assert.equal(error.code, code, error.message);
  if (typeof words === "string") assert.ok(error.message.includes(words), error.message);
  else assert.match(error.message, words);
  return error;
}

/** Throws a MeshError of that code whose message has `words`. */
export function throwsWith(code: ErrorCode, words: string | RegExp, task: () => unknown): void {
  assert.throws(task, (error: unknown) => {
    assert.ok(error instanceof MeshError, String(error));
    assert.equal(error.code, code, error.message);
    return typeof words === "string" ? error.message.includes(words) : words.test(error.message);
  });
}

/** Lets everything that is ready run. */
export async function settled(turns = 3): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** A monitor stream that a test feeds; each `watch` is a stream of its own. */
export class FedStreams {
  readonly open: { readonly url: string; readonly push: (event: ConnectionEvent) => void; readonly lose: (error: Error) => void }[] = [];
  opened = 0;
  /** Makes every new stream fail at once while it is set. */
  refuse: Error | undefined;

  watch(url: string, signal: AbortSignal): AsyncIterable<ConnectionEvent> {
    this.opened++;
    if (this.refuse !== undefined) return failing(this.refuse);
    const queue: ConnectionEvent[] = [];
    let lost: Error | undefined;
    let wake: () => void = () => {};
    const stream = {
      url,
      push: (event: ConnectionEvent) => {
        queue.push(event);
        wake();
      },
      lose: (error: Error) => {
        lost = error;
        wake();
      },
    };
    this.open.push(stream);
    const close = () => {
      const at = this.open.indexOf(stream);
      if (at >= 0) this.open.splice(at, 1);
      wake();
    };
    signal.addEventListener("abort", close, { once: true });
    async function* events(): AsyncGenerator<ConnectionEvent> {
      try {
        while (!signal.aborted) {
          const event = queue.shift();
          if (event !== undefined) yield event;
          else if (lost !== undefined) throw lost;
          else await new Promise<void>((resolve) => (wake = resolve));
        }
      } finally {
        close();
      }
    }
    return events();
  }
}

// biome-ignore lint/correctness/useYield: a stream that fails before its first event
async function* failing(error: Error): AsyncGenerator<ConnectionEvent> {
  throw error;
}

export function service(name: string, part: Partial<NetworkService> = {}): NetworkService {
  return { name, payload: "IP", matches: [], pathIds: [], ...part };
}

/** An endpoint of `services` with the same labels for each. */
export function endpoint(
  name: string,
  services: readonly string[],
  labels: Record<string, string> = {},
  url = `tcp://${name}`,
): NetworkServiceEndpoint {
  return {
    name,
    networkServiceNames: [...services],
    networkServiceLabels: Object.fromEntries(services.map((each) => [each, { labels }])),
    url,
    expirationTime: toTimestamp(4_000_000_000_000),
    initialRegistrationTime: undefined,
    pathIds: [],
  };
}

/** A directory of what a test puts into it. */
export class ListedDirectory implements Directory {
  readonly services: NetworkService[] = [];
  readonly endpoints: NetworkServiceEndpoint[] = [];

  async service(name: string): Promise<NetworkService | undefined> {
    return this.services.find((each) => each.name === name);
  }

  async endpointsOf(name: string): Promise<readonly NetworkServiceEndpoint[]> {
    return this.endpoints.filter((each) => each.networkServiceNames.includes(name));
  }

  async endpoint(name: string): Promise<NetworkServiceEndpoint | undefined> {
    return this.endpoints.find((each) => each.name === name);
  }

  async serviceNames(): Promise<readonly string[]> {
    return this.services.map(({ name }) => name);
  }

  /** Takes an endpoint out. */
  forget(name: string): void {
    const at = this.endpoints.findIndex((each) => each.name === name);
    if (at >= 0) this.endpoints.splice(at, 1);
  }
}
