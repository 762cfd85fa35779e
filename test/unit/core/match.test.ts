import assert from "node:assert/strict";
import fc from "fast-check";
import type { Match } from "../../../api/gen/registry/registry.js";
import { hasLabels, labelsFor, matchEndpoints, matchesEndpoint, matchesService, weightedEndpoints } from "../../../core/match.js";
import { endpoint, service } from "../../lib/chainKit.js";

type Labels = Record<string, string>;

function match(sourceSelector: Labels, routes: (Labels | [Labels, number])[], part: Partial<Match> = {}): Match {
  return {
    sourceSelector,
    routes: routes.map((route) =>
      Array.isArray(route) ? { destinationSelector: route[0], weight: route[1] } : { destinationSelector: route, weight: 0 },
    ),
    fallthrough: false,
    metadata: undefined,
    ...part,
  };
}

const firewall = endpoint("firewall", ["s"], { app: "firewall" });
const gateway = endpoint("gateway", ["s"], { app: "gateway" });
const onOne = endpoint("on-one", ["s"], { nodeName: "one" });
const all = [firewall, gateway, onOne];

const found = (matches: Match[], labels: Labels = {}) => matchEndpoints(service("s", { matches }), all, labels).map(({ name }) => name);

describe("matchEndpoints", () => {
  it("finds all where the service has no matches", () => {
    assert.deepEqual(found([]), ["firewall", "gateway", "on-one"]);
  });

  it("lets the first match decide whose source selector the client has", () => {
    const chainOf = [match({ app: "firewall" }, [{ app: "gateway" }]), match({}, [{ app: "firewall" }])];
    assert.deepEqual(found(chainOf), ["firewall"]);
    assert.deepEqual(found(chainOf, { app: "firewall" }), ["gateway"]);
    assert.deepEqual(found([...chainOf].reverse(), { app: "firewall" }), ["firewall"]);
  });

  it("finds none where no source selector fits", () => {
    assert.deepEqual(found([match({ app: "web" }, [{}])]), []);
  });

  it("finds none where the match that decides has no endpoint", () => {
    assert.deepEqual(found([match({}, [{ app: "nobody" }]), match({}, [{}])]), []);
  });

  it("goes on to the next match with fallthrough, and only where it found none", () => {
    assert.deepEqual(found([match({}, [{ app: "nobody" }], { fallthrough: true }), match({}, [{ app: "gateway" }])]), ["gateway"]);
    assert.deepEqual(found([match({}, [{ app: "firewall" }], { fallthrough: true }), match({}, [{ app: "gateway" }])]), ["firewall"]);
    assert.deepEqual(found([match({}, [{ app: "nobody" }], { fallthrough: true })]), []);
  });

  it("finds what any of the routes finds, each once", () => {
    assert.deepEqual(found([match({}, [{ app: "gateway" }, { app: "firewall" }, {}])]).sort(), ["firewall", "gateway", "on-one"]);
  });

  it("finds none with a match that has neither routes nor metadata, and all with metadata", () => {
    assert.deepEqual(found([match({}, [])]), []);
    assert.deepEqual(found([match({}, [], { metadata: { labels: { p2p: "true" } } })]).length, 3);
  });

  it("fills in the client's labels", () => {
    const sameNode = [match({}, [{ nodeName: "{{.nodeName}}" }])];
    assert.deepEqual(found(sameNode, { nodeName: "one" }), ["on-one"]);
    assert.deepEqual(found(sameNode, { nodeName: "two" }), []);
    assert.deepEqual(found(sameNode), []);
    assert.deepEqual(found([match({}, [{ nodeName: "{{ .nodeName }}" }])], { nodeName: "one" }), ["on-one"]);
  });

  it("looks at the labels for this service alone", () => {
    const both = { ...firewall, networkServiceLabels: { other: { labels: { app: "gateway" } }, s: { labels: { app: "x" } } } };
    assert.deepEqual(matchEndpoints(service("s", { matches: [match({}, [{ app: "gateway" }])] }), [both], {}), []);
  });

  it("puts the heavier first, and knows the weights", () => {
    const matches = [
      match({}, [
        [{ app: "firewall" }, 1],
        [{ app: "gateway" }, 5],
        [{}, 0],
      ]),
    ];
    assert.deepEqual(found(matches), ["gateway", "firewall", "on-one"]);
    const weights = weightedEndpoints(service("s", { matches }), all, {}).map(({ endpoint: { name }, weight }) => `${name} ${weight}`);
    assert.deepEqual(weights, ["firewall 1", "gateway 5", "on-one 1"]);
  });

  const labels = fc.dictionary(fc.constantFrom("app", "zone", "__proto__", "toString"), fc.constantFrom("a", "b", "{{.app}}"), {
    maxKeys: 3,
  });
  const matches = fc.array(
    fc.record({ sourceSelector: labels, routes: fc.array(fc.tuple(labels, fc.nat(5)), { maxLength: 3 }), fallthrough: fc.boolean() }),
    { maxLength: 4 },
  );
  const asMatches = (drawn: { sourceSelector: Labels; routes: [Labels, number][]; fallthrough: boolean }[]) =>
    drawn.map(({ sourceSelector, routes, fallthrough }) => match(sourceSelector, routes, { fallthrough }));

  it("finds only endpoints that were there, each once, whatever the rules", () => {
    const property = fc.property(matches, labels, fc.array(labels, { maxLength: 6 }), (drawn, client, endpoints) => {
      const there = endpoints.map((each, i) => endpoint(`nse-${i}`, ["s"], each));
      const result = matchEndpoints(service("s", { matches: asMatches(drawn) }), there, client);
      assert.equal(new Set(result).size, result.length);
      assert.ok(result.every((each) => there.includes(each)));
      if (drawn.length === 0) assert.equal(result.length, there.length);
    });
    fc.assert(property);
  });

  it("finds an endpoint only by a route that it satisfies, of a match that the client satisfies", () => {
    const property = fc.property(matches, labels, labels, (drawn, client, own) => {
      fc.pre(drawn.length > 0);
      const there = endpoint("nse", ["s"], own);
      const result = matchEndpoints(service("s", { matches: asMatches(drawn) }), [there], client);
      const reachable = drawn.some(
        ({ sourceSelector, routes }) =>
          hasLabels(client, sourceSelector, client) && routes.some(([selector]) => hasLabels(labelsFor(there, "s"), selector, client)),
      );
      if (result.length > 0) assert.ok(reachable);
    });
    fc.assert(property);
  });

  it("does not find more by adding a label to a selector", () => {
    const property = fc.property(labels, labels, fc.constantFrom("app", "zone"), fc.constantFrom("a", "b"), (own, selector, key, value) => {
      if (hasLabels(own, { ...selector, [key]: value }, {}) && !Object.hasOwn(selector, key)) assert.ok(hasLabels(own, selector, {}));
    });
    fc.assert(property);
  });
});

describe("matchesService", () => {
  const there = service("s", { payload: "IP", matches: [match({}, [{ app: "gateway" }])] });
  const none = { payload: "", matches: [] };

  it("finds by nothing, name, payload and matches", () => {
    assert.ok(matchesService(service("", none), there));
    assert.ok(matchesService(service("s", none), there));
    assert.ok(matchesService(service("", { ...none, payload: "IP" }), there));
    assert.ok(matchesService(service("", { ...none, matches: [match({}, [{ app: "gateway" }])] }), there));
  });

  it("does not find by parts of them", () => {
    assert.ok(!matchesService(service("service", none), service("service-2")));
    assert.ok(!matchesService(service("", { ...none, payload: "ETHERNET" }), there));
    assert.ok(!matchesService(service("", { ...none, matches: [match({}, [{ app: "other" }])] }), there));
  });
});

describe("matchesEndpoint", () => {
  const there = endpoint("nse-1", ["s", "t"], { app: "gateway", zone: "a" }, "tcp://10.0.0.1:5001");
  const any = { ...endpoint("", [], {}, ""), expirationTime: undefined };

  it("finds by nothing, name, services, a part of its labels and a part of its url", () => {
    assert.ok(matchesEndpoint(any, there));
    assert.ok(matchesEndpoint({ ...any, name: "nse-1" }, there));
    assert.ok(matchesEndpoint({ ...any, networkServiceNames: ["t"] }, there));
    assert.ok(matchesEndpoint({ ...any, networkServiceLabels: { s: { labels: { app: "gateway" } } } }, there));
    assert.ok(matchesEndpoint({ ...any, url: "10.0.0.1" }, there));
    assert.ok(matchesEndpoint({ ...any, expirationTime: { seconds: 4_000_000_000, nanos: 5 } }, there));
  });

  it("does not find by what differs", () => {
    assert.ok(!matchesEndpoint({ ...any, name: "nse" }, there));
    assert.ok(!matchesEndpoint({ ...any, networkServiceNames: ["s", "u"] }, there));
    assert.ok(!matchesEndpoint({ ...any, networkServiceLabels: { s: { labels: { app: "firewall" } } } }, there));
    assert.ok(!matchesEndpoint({ ...any, networkServiceLabels: { u: { labels: { app: "gateway" } } } }, there));
    assert.ok(!matchesEndpoint({ ...any, url: "10.0.0.2" }, there));
    assert.ok(!matchesEndpoint({ ...any, expirationTime: { seconds: 1, nanos: 0 } }, there));
  });
});
