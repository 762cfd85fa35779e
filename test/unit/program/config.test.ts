import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig, setting, usage } from "../../../program/config.js";
import { bool, duration, external, externalIp, integer, labels, list, oneOf, optionalText, text } from "../../../program/values.js";

const settings = {
  name: setting("NSM_NAME", "its name in a path", text),
  listenOn: setting("NSM_LISTEN_ON", "where it listens", list, "unix:///run/s.sock,tcp://:5001"),
  dialTimeout: setting("NSM_DIAL_TIMEOUT", "how long a dial may take", duration, "750ms"),
  port: setting("NSM_VXLAN_PORT", "its port", integer(1, 65_535), "4789"),
  allowPlain: setting("NSM_ALLOW_PLAIN", "whether plaintext may be asked for", bool, "false"),
  labels: setting("NSM_LABELS", "its labels", labels, "p2p:true"),
  store: setting("NSM_STORE", "where it keeps things", oneOf("lmdb", "memory"), "lmdb"),
  tunnelIp: setting("NSM_TUNNEL_IP", "its tunnel address", optionalText, ""),
};

const load = (argv: string[], env: Record<string, string> = {}) => loadConfig(settings, { argv, env, programName: "nsmgr" });

describe("an address for other sites", () => {
  const good: readonly [text: string, value: unknown][] = [
    ["", undefined],
    ["none", "none"],
    ["198.51.100.1", { host: "198.51.100.1" }],
    ["198.51.100.1:443", { host: "198.51.100.1", port: 443 }],
    ["2001:db8::1", { host: "2001:db8::1" }],
    ["[2001:db8::1]:443", { host: "2001:db8::1", port: 443 }],
    ["paris.example.org:5001", { host: "paris.example.org", port: 5001 }],
  ];
  for (const [text, value] of good) it(`is read from ${JSON.stringify(text)}`, () => assert.deepEqual(external.parse(text), value));

  for (const text of [
    "198.51.100.1:",
    "198.51.100.1:0",
    "198.51.100.1:65536",
    "[2001:db8::g]:1",
    "[198.51.100.1]",
    "a b",
    "tcp://a:1",
    "-a",
  ])
    it(`is not ${JSON.stringify(text)}`, () => {
      assert.match(external.safeParse(text).error?.issues[0]?.message ?? "", /^ADDRESS, ADDRESS:PORT or \[V6\]:PORT, or none/);
    });

  it("is in digits for WireGuard", () => {
    assert.deepEqual(externalIp.parse("[2001:db8::1]:443"), { host: "2001:db8::1", port: 443 });
    assert.match(externalIp.safeParse("paris.example.org").error?.issues[0]?.message ?? "", /the address in digits$/);
  });
});

describe("the configuration", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "isthmus-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const file = (content: string) => {
    const path = join(folder, "c.yaml");
    writeFileSync(path, content);
    return path;
  };

  it("has defaults, as values", () => {
    assert.deepEqual(load([], { NSM_NAME: "a" }), {
      name: "a",
      listenOn: ["unix:///run/s.sock", "tcp://:5001"],
      dialTimeout: 750,
      port: 4789,
      allowPlain: false,
      labels: { p2p: "true" },
      store: "lmdb",
      tunnelIp: "",
    });
  });

  it("takes flags over variables over the file over defaults", () => {
    const path = file("name: from-file\nlisten-on: [tcp://:1, tcp://:2]\nvxlan-port: 1\nlabels: {a: b, c: d}\ndial-timeout: 2s\n");
    const config = load(["--config", path, "--vxlan-port=3", "--allow-plain"], {
      NSM_VXLAN_PORT: "2",
      NSM_DIAL_TIMEOUT: "1m30s",
      NSM_LABELS: "",
    });
    assert.deepEqual(
      [config.name, config.listenOn, config.port, config.dialTimeout, config.allowPlain, config.labels],
      ["from-file", ["tcp://:1", "tcp://:2"], 3, 90_000, true, { a: "b", c: "d" }],
    );
  });

  const bad: [string, string[], Record<string, string>, string][] = [
    ["a value out of range", [], { NSM_VXLAN_PORT: "70000" }, 'NSM_VXLAN_PORT is "70000"; it must be a whole number from 1 to 65535'],
    ["a value that is no number", ["--vxlan-port", "x"], {}, '--vxlan-port is "x"; it must be a whole number from 1 to 65535'],
    ["an unknown choice", [], { NSM_STORE: "etcd" }, 'NSM_STORE is "etcd"; it must be one of lmdb, memory'],
    ["a broken duration", [], { NSM_DIAL_TIMEOUT: "5" }, 'NSM_DIAL_TIMEOUT is "5"; it must be a duration such as 750ms, 15s, 10m or 1h30m'],
    ["broken labels", [], { NSM_LABELS: "p2p" }, 'NSM_LABELS is "p2p"; it must be pairs key:value, comma separated'],
    ["something that is neither true nor false", [], { NSM_ALLOW_PLAIN: "yes" }, 'NSM_ALLOW_PLAIN is "yes"; it must be true or false'],
    ["a flag without its value", ["--store"], {}, "--store needs a value"],
  ];
  for (const [what, argv, env, message] of bad)
    it(`refuses ${what}`, () => {
      assert.throws(() => load(argv, { NSM_NAME: "a", ...env }), { code: "invalid", message });
    });

  it("says everything that is wrong at once", () => {
    assert.throws(() => load([], { NSM_VXLAN_PORT: "0" }), {
      message: 'NSM_NAME (or --name) must be given: its name in a path\nNSM_VXLAN_PORT is "0"; it must be a whole number from 1 to 65535',
    });
  });

  it("refuses flags, keys and files that it does not know", () => {
    assert.throws(() => load(["--nme", "a"]), {
      code: "invalid",
      message: /^"--nme" is not understood; the flags are --name, --listen-on/,
    });
    assert.throws(() => load(["stray"]), { code: "invalid" });
    assert.throws(() => load(["--config", file("nme: a")]), {
      code: "invalid",
      message: /the key "nme" is not known; the keys are name, listen-on/,
    });
    assert.throws(() => load(["--config", file("- a")]), { code: "invalid", message: /must hold keys and values/ });
    assert.throws(() => load(["--config", join(folder, "none.yaml")]), { code: "invalid", message: /cannot be read: ENOENT/ });
    assert.throws(() => load(["--config", file("name: [")]), { code: "invalid", message: /cannot be read/ });
  });

  it("explains itself", () => {
    const help = usage(settings, "nsmgr");
    assert.match(help, /--dial-timeout +NSM_DIAL_TIMEOUT +how long a dial may take \(750ms\)/);
    assert.match(help, /--name +NSM_NAME +its name in a path \(must be given\)/);
    assert.match(help, /--config FILE/);
  });
});
