import assert from "node:assert/strict";
import { needEtcd } from "../../../cli/lab/etcd.js";
import { layout, parseSites } from "../../../cli/lab/layout.js";
import { parseStores, rotated } from "../../../cli/lab/stores.js";
import { throwsWith } from "../../lib/chainKit.js";

describe("the stores of a lab", () => {
  it("are each registry's own unless etcd is asked for, with one member and one registry a site unless told", () => {
    assert.deepEqual(parseStores({ store: "lmdb" }), { store: "lmdb", registries: 1, etcdMembers: 0 });
    assert.deepEqual(parseStores({ store: "etcd" }), { store: "etcd", registries: 1, etcdMembers: 1 });
    assert.deepEqual(parseStores({ store: "etcd", registries: "2", etcdMembers: "3" }), { store: "etcd", registries: 2, etcdMembers: 3 });
  });

  for (const [told, words] of [
    [{ store: "lmdb", etcdMembers: "3" }, "--etcd-members needs --store etcd"],
    [{ store: "memory", registries: "2" }, "--registries needs --store etcd"],
    [{ store: "etcd", etcdMembers: "2" }, /--etcd-members takes 1, 3, 5 .*got "2"/],
    [{ store: "etcd", etcdMembers: "" }, /--etcd-members takes/],
    [{ store: "etcd", registries: "0" }, '--registries takes 1..9, got "0"'],
    [{ store: "etcd", registries: "two" }, "--registries takes 1..9"],
  ] as const)
    it(`refuse ${JSON.stringify(told)}`, () => throwsWith("invalid", words, () => parseStores(told)));

  it("are spread over a site's nodes, at ports of their own where a node has two", () => {
    const wish = parseSites("paris=2,tokyo").map((site) => ({ ...site, registries: 2, etcdMembers: 3 }));
    const [paris, tokyo] = layout("nsm", 4, wish).sites;
    const told = (site: typeof paris) =>
      site?.etcd.map((one) => `${one.name} ${one.node} ${one.clientPort} ${one.peerPort} ${one.metricsPort}`);
    assert.deepEqual(paris?.registryNodes, ["paris-1", "paris-2"]);
    assert.deepEqual(told(paris), ["etcd-1 paris-1 2379 2380 2381", "etcd-2 paris-2 2379 2380 2381", "etcd-3 paris-1 2389 2390 2391"]);
    assert.deepEqual(tokyo?.registryNodes, ["tokyo-1"]);
    assert.deepEqual(told(tokyo), ["etcd-1 tokyo-1 2379 2380 2381", "etcd-2 tokyo-1 2389 2390 2391", "etcd-3 tokyo-1 2399 2400 2401"]);
  });

  it("are asked in turn, each registry beginning with another", () => {
    assert.deepEqual(rotated(["a", "b", "c"], 1), ["b", "c", "a"]);
    assert.deepEqual(rotated(["a", "b"], 3), ["b", "a"]);
  });

  it("say what to install where etcd is not", () => {
    throwsWith("not-found", /--store etcd needs the program etcd .*apt-get install etcd-server/, () => needEtcd("/nowhere"));
  });
});
