import assert from "node:assert/strict";
import type { NetworkServiceEndpoint } from "../../../api/gen/registry/registry.js";
import { bySite } from "../../../core/locality.js";
import { silent } from "../../../core/log.js";
import { weightedEndpoints } from "../../../core/match.js";
import { order } from "../../../core/select.js";
import { stale } from "../../../core/stale.js";
import { endpoint, ListedDirectory, service } from "../../lib/chainKit.js";

const { signal } = new AbortController();
const nsmgr = (node: number) => `tcp://10.0.0.${node}:5001`;

/** Forwarders on five nodes: the first three in paris, then one in tokyo, and one that does not say. */
function site() {
  const directory = new ListedDirectory();
  const sites = ["paris", "paris", "paris", "tokyo", ""];
  for (const [i, name] of sites.entries()) {
    const labels: Record<string, string> = name === "" ? {} : { site: name };
    directory.endpoints.push({ ...endpoint(`forwarder-${i + 1}`, ["forwarder"], labels), url: nsmgr(i + 1) });
  }
  return { directory, locality: bySite({ directory, service: "forwarder", site: "paris", log: silent }) };
}

function served(name: string, url: string, labels: Record<string, string> = {}): NetworkServiceEndpoint {
  return { ...endpoint(name, ["web"], labels), url };
}

const here = served("here", "unix:///run/nse.sock");
const near = served("near", nsmgr(2));
const nearer = served("near-too", nsmgr(3));
const far = served("far", nsmgr(4), { app: "big" });
const silentSite = served("silent", nsmgr(5));
const stranger = served("stranger", nsmgr(9), { site: "paris", nodeName: "paris-1" });

describe("locality", () => {
  it("puts what a site told us that does not answer after all others, and no other site's here, whatever its url", async () => {
    const pretender = served("web-1@tokyo", nsmgr(2));
    const all = [near, far, pretender, stale(served("web-2@tokyo", nsmgr(4)))];
    const distance = await site().locality(all, signal);
    assert.deepEqual(all.map(distance), [1, 2, 2, 3]);
  });

  it("tells this node, this site and elsewhere apart", async () => {
    const all = [here, near, far, silentSite];
    const distance = await site().locality(all, signal);
    assert.deepEqual(all.map(distance), [0, 1, 2, 2]);
  });

  it("believes no endpoint that claims to be in this site", async () => {
    const distance = await site().locality([stranger, near], signal);
    assert.deepEqual([stranger, near].map(distance), [2, 1]);
  });

  it("takes all but this node for elsewhere while forwarders cannot be asked for", async () => {
    const { directory, locality } = site();
    directory.endpointsOf = () => Promise.reject(new Error("the registry is away"));
    const distance = await locality([near, far, here], signal);
    assert.deepEqual([near, far, here].map(distance), [2, 2, 0]);
  });

  it("asks for nothing where there is no choice to make", async () => {
    const { directory, locality } = site();
    directory.endpointsOf = () => assert.fail("it asked");
    const distance = await locality([here, near], signal);
    assert.deepEqual([here, near].map(distance), [0, 2]);
  });

  it("puts the node before the site and the site before the rest, and weight and load decide inside a class", async () => {
    const all = [far, nearer, near, here];
    const routes = [
      { destinationSelector: { app: "big" }, weight: 10 },
      { destinationSelector: {}, weight: 1 },
    ];
    const web = service("web", { matches: [{ sourceSelector: {}, routes, fallthrough: false, metadata: undefined }] });
    const weighed = weightedEndpoints(web, all, {});
    const loads: Record<string, number> = { here: 50, near: 3, "near-too": 2 };
    const distance = await site().locality(all, signal);
    const names = order(weighed, { distance, load: (name) => loads[name] ?? 0, random: () => 0.5 }).map(({ name }) => name);
    assert.deepEqual(names, ["here", "near-too", "near", "far"]);
  });
});
