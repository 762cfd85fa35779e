import assert from "node:assert/strict";
import type { Connection } from "../../../api/gen/connection/connection.js";
import { Connection as ConnectionMessage } from "../../../api/gen/connection/connection.js";
import { NetworkServiceEndpoint } from "../../../api/gen/registry/registry.js";
import type { Handler } from "../../../core/chain.js";
import { inTheirWords, siteName } from "../../../core/siteNames.js";
import { isStale, stale } from "../../../core/stale.js";

describe("a name with a site", () => {
  it("is split at its first @", () => {
    assert.deepEqual(siteName("echo"), { local: "echo", site: undefined });
    assert.deepEqual(siteName("echo@tokyo"), { local: "echo", site: "tokyo" });
    assert.deepEqual(siteName("echo@tokyo@lima"), { local: "echo", site: "tokyo@lima" });
  });
});

describe("a request to another site", () => {
  const asked = (networkService: string, networkServiceEndpointName: string) =>
    ConnectionMessage.fromPartial({ networkService, networkServiceEndpointName });
  const signal = new AbortController().signal;

  /** What the next hop got, and what came back, when it answers with another endpoint or the same. */
  async function sent(connection: Connection, other?: string): Promise<{ got: string[]; back: string[] }> {
    const got: string[] = [];
    const tail: Handler = {
      request: async ({ connection: its }) => {
        got.push(its.networkService, its.networkServiceEndpointName);
        return { ...its, networkServiceEndpointName: other ?? its.networkServiceEndpointName };
      },
      close: async ({ connection: its }) => void got.push(its.networkService, its.networkServiceEndpointName),
    };
    const answer = await inTheirWords(tail).request({ connection, preferences: [], signal });
    return { got, back: [answer.networkService, answer.networkServiceEndpointName] };
  }

  it("names things as that site does, and its answer as this one does", async () => {
    assert.deepEqual(await sent(asked("echo@tokyo", "echo-1@tokyo")), { got: ["echo", "echo-1"], back: ["echo@tokyo", "echo-1@tokyo"] });
    assert.deepEqual(await sent(asked("echo", "echo-1@tokyo")), { got: ["echo", "echo-1"], back: ["echo", "echo-1@tokyo"] });
  });

  it("that was answered by another endpoint there calls that by its site too, and one of a third site as it is", async () => {
    assert.deepEqual((await sent(asked("echo", "echo-1@tokyo"), "echo-2")).back, ["echo", "echo-2@tokyo"]);
    assert.deepEqual((await sent(asked("echo", "echo-1@tokyo"), "echo-3@lima")).back, ["echo", "echo-3@lima"]);
  });

  it("leaves what stays in this site alone", async () => {
    assert.deepEqual(await sent(asked("echo", "echo-0")), { got: ["echo", "echo-0"], back: ["echo", "echo-0"] });
    assert.deepEqual(await sent(asked("echo@paris", "echo-0")), { got: ["echo", "echo-0"], back: ["echo@paris", "echo-0"] });
  });

  it("is closed in its words as well", async () => {
    const got: string[] = [];
    const tail: Handler = {
      request: async ({ connection }) => connection,
      close: async ({ connection }) => void got.push(connection.networkService, connection.networkServiceEndpointName),
    };
    await inTheirWords(tail).close({ connection: asked("echo@tokyo", "echo-1@tokyo"), preferences: [], signal });
    assert.deepEqual(got, ["echo", "echo-1"]);
  });
});

describe("an endpoint of a site that does not answer", () => {
  it("is marked in the labels of each of its services, and keeps those that it has", () => {
    const endpoint = NetworkServiceEndpoint.fromPartial({
      networkServiceNames: ["a", "b"],
      networkServiceLabels: { a: { labels: { color: "red" } } },
    });
    const marked = stale(endpoint);
    assert.deepEqual([isStale(endpoint), isStale(marked)], [false, true]);
    assert.deepEqual(marked.networkServiceLabels.a?.labels, { color: "red", "isthmus.stale": "true" });
    assert.deepEqual(marked.networkServiceLabels.b?.labels, { "isthmus.stale": "true" });
  });
});
