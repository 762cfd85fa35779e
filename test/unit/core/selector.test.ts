import assert from "node:assert/strict";
import { Connection } from "../../../api/gen/connection/connection.js";
import { NetworkService, NetworkServiceEndpoint } from "../../../api/gen/registry/registry.js";
import { candidatesFor } from "../../../core/candidates.js";
import type { Directory } from "../../../core/directory.js";
import { selectorContext } from "../../../core/selector.js";

const endpoint = (name: string, labels: Record<string, string>) =>
  NetworkServiceEndpoint.fromPartial({ name, networkServiceNames: ["feed"], networkServiceLabels: { feed: { labels } } });
const directory = {
  endpointsOf: async () => [endpoint("high", { quality: "high", zone: "a" }), endpoint("low", { quality: "low" })],
} as unknown as Directory;
const signal = new AbortController().signal;

async function found(labels: Record<string, string>, matches: NetworkService["matches"] = []): Promise<string[]> {
  const connection = Connection.fromPartial({ labels, context: { extraContext: selectorContext(labels) } });
  const candidates = await candidatesFor(directory, NetworkService.fromPartial({ name: "feed", matches }), connection, signal);
  return candidates.map((one) => one.endpoint.name);
}

describe("labels of a request", () => {
  it("select the endpoints that have them", async () => {
    assert.deepEqual(await found({}), ["high", "low"]);
    assert.deepEqual(await found({ quality: "low" }), ["low"]);
    assert.deepEqual(await found({ quality: "high", zone: "a" }), ["high"]);
  });

  it("that no endpoint has are an error that says which there were", () =>
    assert.rejects(found({ quality: "medium" }), /quality=medium.*high has quality=high,zone=a, low has quality=low/));

  it("are left to the service's matches where it has some", async () => {
    const matches = NetworkService.fromPartial({
      matches: [{ sourceSelector: { app: "x" }, routes: [{ destinationSelector: { quality: "low" } }] }],
    });
    assert.deepEqual(await found({ app: "x" }, matches.matches), ["low"]);
  });

  it("that a client of NSM bears as its own select nothing", async () => {
    const connection = Connection.fromPartial({ labels: { quality: "medium" } });
    assert.equal((await candidatesFor(directory, NetworkService.fromPartial({ name: "feed" }), connection, signal)).length, 2);
  });
});
