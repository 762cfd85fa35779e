import assert from "node:assert/strict";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { Etcd3 } from "etcd3";
import { Etcd } from "../lib/etcd.js";
import { newFolder } from "../lib/folder.js";
import { TestCa } from "../lib/testCa.js";
import { refused } from "../unit/registry/site.js";
import { open, prefix, put, Reader, recorder, took } from "./kit.js";

describe("an etcd that cannot be used", function () {
  this.timeout(30_000);

  it("that is not there is named within some seconds, with the setting", async () => {
    await using etcd = await Etcd.start();
    const endpoints = etcd.urls;
    await etcd.member(0).kill();
    const ms = await took(() =>
      refused(
        "unreachable",
        () => open({ endpoints }),
        /^etcd at http:.* does not answer: .*ECONNREFUSED 127.0.0.1:\d+; check NSM_ETCD_ENDPOINTS$/,
      ),
    );
    assert.ok(ms < 7_000, `${ms} ms`);
  });

  for (const [options, sentence] of [
    [{ endpoints: [] }, /needs NSM_ETCD_ENDPOINTS, such as http/],
    [{ endpoints: ["localhost:2379"] }, /NSM_ETCD_ENDPOINTS must be like http:\/\/host:2379 .* got localhost:2379/],
    [{ endpoints: ["http://a:1", "https://b:1"] }, /all http or all https/],
    [{ endpoints: ["http://a:1"], prefix: "isthmus" }, /NSM_ETCD_PREFIX must end with a slash, got "isthmus"/],
    [{ endpoints: ["https://a:1"], cert: "c" }, /NSM_ETCD_CERT and NSM_ETCD_KEY belong together/],
    [{ endpoints: ["https://a:1"], cert: "c", key: "k" }, /NSM_ETCD_CERT needs NSM_ETCD_CA/],
    [{ endpoints: ["https://a:1"], ca: "/no/such/file" }, /NSM_ETCD_CA cannot be read: .*\/no\/such\/file/],
    [{ endpoints: ["https://a:1"], ca: "/etc/passwd" }, /NSM_ETCD_CA must be a file in PEM, \/etc\/passwd is not/],
  ] as const)
    it(`is refused before anybody is asked: ${JSON.stringify(options)}`, () => refused("invalid", () => open(options), sentence));

  it("that is full says so, and still reads, deletes and watches", async () => {
    await using etcd = await Etcd.start({ flags: ["--quota-backend-bytes", `${2 ** 20}`] });
    await using store = await open({ endpoints: etcd.urls });
    await using reader = new Reader(store, "", 0);
    await store.commit({ writes: [put("a", "1")] });
    const fill = async () => {
      for (let at = 0; at < 100; at++) await store.commit({ writes: [put(`filler${at}`, "x".repeat(100_000))] });
    };
    await refused(
      "exhausted",
      fill,
      /^etcd at .* is full and takes no writes until somebody makes room: etcdctl compact, defrag, then alarm disarm/,
    );
    assert.equal(`${(await store.get("a"))?.value}`, "1");
    await store.commit({ writes: [{ op: "delete", key: "a" }] });
    await reader.until("delete a");
  });

  it("that takes smaller transactions than ours says so", async () => {
    await using etcd = await Etcd.start({ flags: ["--max-txn-ops", "2", "--max-request-bytes", "10000"] });
    await using store = await open({ endpoints: etcd.urls });
    await refused(
      "invalid",
      () => store.commit({ writes: ["a", "b", "c"].map((key) => put(key)) }),
      /does not take a transaction of this size/,
    );
    await refused("invalid", () => store.commit({ writes: [put("a", "x".repeat(50_000))] }), /does not take a transaction of this size/);
    await store.commit({ writes: [put("a")] });
  });
});

describe("keys in etcd that no registry wrote", function () {
  this.timeout(20_000);
  let etcd: Etcd;
  let client: Etcd3;
  beforeEach(async () => {
    etcd = await Etcd.start();
    client = new Etcd3({ hosts: etcd.urls });
  });
  afterEach(async () => {
    client.close();
    await etcd[Symbol.asyncDispose]();
  });

  it("make the prefix unusable, and are left as they are", async () => {
    await client.put(`${prefix}pods/web`).value("theirs");
    const sentence =
      /^the keys under isthmus\/test\/ in etcd are not a registry's, such as "isthmus\/test\/pods\/web"; choose another NSM_ETCD_PREFIX$/;
    await refused("invalid", () => open({ endpoints: etcd.urls }), sentence);
    assert.deepEqual(await client.getAll().keys(), [`${prefix}pods/web`]);
    await using beside = await open({ endpoints: etcd.urls, prefix: "isthmus/other/" });
    assert.deepEqual((await beside.list("")).entries, []);
  });

  it("of another format are refused", async () => {
    await client.put(`${prefix}format`).value("isthmus 2");
    await refused(
      "invalid",
      () => open({ endpoints: etcd.urls }),
      /has the format "isthmus 2", this program knows "isthmus 1"; choose another NSM_ETCD_PREFIX/,
    );
  });

  it("that are not text are said once and left alone, in a list and in a watch", async () => {
    const { log, lines } = recorder();
    await using store = await open({ endpoints: etcd.urls }, log);
    await using reader = new Reader(store, "", 0);
    const strange = Buffer.concat([Buffer.from(`${prefix}data/`), Buffer.from([0xff, 0xfe])]);
    await client.put(strange).value("theirs");
    await store.commit({ writes: [put("a", "ours")] });
    await reader.until("put a=ours");
    for (let time = 0; time < 2; time++)
      assert.deepEqual(
        (await store.list("")).entries.map(({ key }) => key),
        ["a"],
      );
    assert.deepEqual(reader.lines, ["put a=ours"]);
    const said = lines.filter((line) => line.startsWith("error key in etcd not readable, left alone"));
    assert.equal(said.length, 1);
    assert.match(said[0] ?? "", /"bytes":"[0-9a-f]+fffe"/);
    assert.equal(await client.get(strange).string(), "theirs");
  });
});

describe("an etcd that asks for certificates", function () {
  this.timeout(30_000);

  it("is used with one of its CA's, and refuses to be used without, or with another's", async () => {
    using folder = newFolder();
    const [ca, stranger] = [await TestCa.make(folder.path, "ca"), await TestCa.make(folder.path, "stranger")];
    const [server, ours, theirs] = [await ca.pair("server"), await ca.pair("registry"), await stranger.pair("other")];
    const flags = ["--cert-file", server.cert, "--key-file", server.key, "--client-cert-auth", "--trusted-ca-file", ca.cert];
    await using etcd = await Etcd.start({ scheme: "https", flags });
    const endpoints = etcd.urls;
    await using store = await open({ endpoints, ca: ca.cert, ...ours });
    await using reader = new Reader(store, "", 0);
    await store.commit({ writes: [put("a", "1")] });
    await reader.until("put a=1");
    const settings = /^no secure connection to etcd at https:.*; check NSM_ETCD_CA, NSM_ETCD_CERT and NSM_ETCD_KEY$/;
    await refused("unreachable", () => open({ endpoints, ca: stranger.cert, ...theirs }), settings);
    await refused("unreachable", () => open({ endpoints, ca: ca.cert }), settings);
  });

  it("is met with certificates that were renewed meanwhile", async () => {
    using folder = newFolder();
    const [ca, next] = [await TestCa.make(folder.path, "ca"), await TestCa.make(folder.path, "next")];
    const [server, ours, renewed] = [await ca.pair("server"), await ca.pair("registry"), await next.pair("renewed")];
    const trusted = join(folder.path, "trusted.crt");
    copyFileSync(ca.cert, trusted);
    const flags = ["--cert-file", server.cert, "--key-file", server.key, "--client-cert-auth", "--trusted-ca-file", trusted];
    await using etcd = await Etcd.start({ scheme: "https", flags });
    await using store = await open({ endpoints: etcd.urls, ca: ca.cert, ...ours });
    await etcd.member(0).kill();
    copyFileSync(next.cert, trusted);
    copyFileSync(renewed.cert, ours.cert);
    copyFileSync(renewed.key, ours.key);
    await etcd.member(0).start();
    await store.commit({ writes: [put("a", "1")] }).catch(() => {});
    assert.deepEqual((await store.list("b")).entries, []);
  });
});
