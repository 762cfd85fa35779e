import assert from "node:assert/strict";
import { NetworkService, NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import { subjectOf } from "../../core/jwt.js";
import type { Found, Registry, RegistryPath } from "../../rpc/registry.js";
import { clientId, forever, type TransportWorld } from "./transport.js";

/** A registry that remembers what it was asked, and answers finds from a list. */
function recording<T>(answers: readonly Found<T>[]): Registry<T> & { readonly asked: string[] } {
  const asked: string[] = [];
  const note = (verb: string, value: T) => asked.push(`${verb} ${(value as { name: string }).name}`);
  return {
    asked,
    register: async (value, { path, caller, returnPath }) => {
      note("register", value);
      asked.push(`path ${path?.index}:${path?.tokens.join()} from ${caller === undefined ? "nobody" : subjectOf(caller.token)}`);
      returnPath?.({ index: 0, tokens: ["mine", "ü"] });
      return value;
    },
    unregister: async (value) => void note("unregister", value),
    async *find(query, { watch }) {
      note(watch ? "watch" : "list", query);
      yield* answers;
    },
  };
}

/** Whose token comes with a call. */
function who({ secured }: TransportWorld): string {
  return secured ? clientId : "nobody";
}

export function registryCases(world: () => TransportWorld): void {
  it("registers endpoints, with the path both ways", async () => {
    const endpoints = recording<NetworkServiceEndpoint>([]);
    const { url } = await world().listen({ endpoints });
    const endpoint = NetworkServiceEndpoint.fromPartial({
      name: "nse-1",
      networkServiceNames: ["icmp"],
      networkServiceLabels: { icmp: { labels: { app: "a" } } },
      expirationTime: { seconds: 1_900_000_000, nanos: 5 },
    });
    let returned: RegistryPath | undefined;
    const returnPath = (path: RegistryPath) => {
      returned = path;
    };
    const answer = await world()
      .peers.endpoints(url)
      .register(endpoint, { signal: forever, path: { index: 1, tokens: ["t0", "t1"] }, returnPath });
    assert.deepEqual(NetworkServiceEndpoint.toJSON(answer), NetworkServiceEndpoint.toJSON(endpoint));
    assert.deepEqual(endpoints.asked, ["register nse-1", `path 1:t0,t1 from ${who(world())}`]);
    assert.deepEqual(returned, { index: 0, tokens: ["mine", "ü"] });
    await world().peers.endpoints(url).unregister(endpoint, { signal: forever });
    assert.equal(endpoints.asked.at(-1), "unregister nse-1");
  });

  it("finds services, and what is deleted while watching", async () => {
    const service = NetworkService.fromPartial({ name: "icmp", payload: "IP", matches: [{ routes: [{ weight: 3 }], fallthrough: true }] });
    const services = recording([
      { value: service, deleted: false },
      { value: NetworkService.fromPartial({ name: "old" }), deleted: true },
    ]);
    const { url } = await world().listen({ services });
    const found: string[] = [];
    for (const watch of [false, true])
      for await (const { value, deleted } of world()
        .peers.services(url)
        .find(NetworkService.fromPartial({ name: "q" }), { watch }, { signal: forever }))
        found.push(`${value.name} ${deleted} ${value.matches[0]?.routes[0]?.weight}`);
    assert.deepEqual(found, ["icmp false 3", "old true undefined", "icmp false 3", "old true undefined"]);
    assert.deepEqual(services.asked, ["list q", "watch q"]);
  });

  it("registers a service without a path", async () => {
    const services = recording<NetworkService>([]);
    const { url } = await world().listen({ services });
    const answer = await world()
      .peers.services(url)
      .register(NetworkService.fromPartial({ name: "s" }), { signal: forever });
    await world().peers.services(url).unregister(answer, { signal: forever });
    assert.deepEqual(services.asked, ["register s", `path undefined:undefined from ${who(world())}`, "unregister s"]);
  });
}
