import assert from "node:assert/strict";
import type { NetworkService, NetworkServiceEndpoint } from "../../../api/gen/registry/registry.js";
import { MeshError } from "../../../core/error.js";
import { silent } from "../../../core/log.js";
import { toTimestamp } from "../../../core/timestamp.js";
import { keepRegistered } from "../../../forwarder/registration.js";
import type { Found, Registry, RegistryContext } from "../../../rpc/registry.js";
import { FakeClock } from "../../lib/fakeClock.js";

/** A registry that can be away, and that tells its watchers when it goes. */
class Fickle<T extends { name: string }> implements Registry<T> {
  away = false;
  readonly registered: T[] = [];
  known: T[] = [];
  readonly #change: (value: T) => T;
  #ends = new Set<(error?: Error) => void>();

  constructor(change: (value: T) => T = (value) => value) {
    this.#change = change;
  }

  async register(value: T): Promise<T> {
    if (this.away) throw new MeshError("unreachable", "nobody is there");
    this.registered.push(value);
    this.known = [value];
    return this.#change(value);
  }

  async unregister(): Promise<void> {}

  async *find(_query: T, { watch }: { watch: boolean }, { signal }: RegistryContext): AsyncIterable<Found<T>> {
    if (this.away) throw new MeshError("unreachable", "nobody is there");
    for (const value of this.known) yield { value, deleted: false };
    if (!watch || signal.aborted) return;
    await new Promise<void>((resolve, reject) => {
      this.#ends.add((error) => (error === undefined ? resolve() : reject(error)));
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    if (!signal.aborted) for (const value of this.known) yield { value, deleted: true };
  }

  /** Its watchers' streams break, or hear that everything was deleted. */
  end(error?: Error): void {
    for (const end of this.#ends) end(error);
    this.#ends = new Set();
  }
}

function start() {
  const clock = new FakeClock();
  const services = new Fickle<NetworkService>();
  const endpoints = new Fickle<NetworkServiceEndpoint>((value) => ({ ...value, expirationTime: toTimestamp(clock.now() + 60_000) }));
  const stop = new AbortController();
  const labels = { p2p: "true", nodeName: "paris-1" };
  const done = keepRegistered(
    { services, endpoints, service: "forwarder", name: "fwd", url: "unix:///fwd.sock", labels, clock, log: silent },
    stop.signal,
  );
  const end = async () => {
    stop.abort();
    await done;
    assert.equal(clock.pending, 0);
  };
  return { clock, services, endpoints, end };
}

describe("forwarder: registration", () => {
  it("registers the service and itself, and again before it expires", async () => {
    const { clock, services, endpoints, end } = start();
    await clock.advance(0);
    assert.deepEqual(
      services.registered.map(({ name }) => name),
      ["forwarder"],
    );
    assert.deepEqual(endpoints.registered[0]?.networkServiceLabels.forwarder?.labels, { p2p: "true", nodeName: "paris-1" });
    await clock.advance(45_000);
    assert.equal(endpoints.registered.length, 2);
    await end();
  });

  it("leaves a service that is there as it is", async () => {
    const { clock, services, end } = start();
    services.known = [{ name: "forwarder", payload: "", matches: [], pathIds: [] }];
    await clock.advance(0);
    assert.deepEqual(services.registered, []);
    await end();
  });

  it("comes again when its nsmgr was away, and when the registry forgot it", async () => {
    const { clock, endpoints, end } = start();
    await clock.advance(0);
    endpoints.away = true;
    endpoints.end(new MeshError("unreachable", "the stream broke"));
    await clock.advance(5000);
    assert.equal(endpoints.registered.length, 1);
    endpoints.away = false;
    await clock.advance(2000);
    assert.equal(endpoints.registered.length, 2);
    endpoints.end();
    await clock.advance(500);
    assert.equal(endpoints.registered.length, 3);
    await end();
  });
});
