import assert from "node:assert/strict";
import type { Command } from "commander";
import { complete, scripts } from "../../../cli/completion.js";
import { explain } from "../../../cli/errors.js";
import { build, run } from "../../../cli/program.js";
import { withProgress } from "../../../cli/progress.js";
import { table } from "../../../cli/table.js";
import { MeshError } from "../../../core/error.js";
import { FakeClock } from "../../lib/fakeClock.js";

/** nsmctl with its streams kept. */
function shell() {
  const said = { out: "", err: "" };
  const clock = new FakeClock();
  const context = {
    out: (text: string) => {
      said.out += text;
    },
    err: (text: string) => {
      said.err += text;
    },
    env: {},
    clock,
    signal: new AbortController().signal,
  };
  return { said, clock, context };
}

async function nsmctl(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  const { said, context } = shell();
  return { code: await run(context, ["--prefix", "ut-none", ...words]), ...said };
}

/** Every command of the tree with the words that lead to it. */
function* commands(from: Command, words: readonly string[] = []): Generator<readonly [string[], Command]> {
  for (const sub of from.commands) {
    const line = [...words, sub.name()];
    if (!sub.name().startsWith("__")) yield [line, sub];
    yield* commands(sub, line);
  }
}

const tree = build({ context: shell().context, exit: () => {} });

describe("nsmctl", () => {
  for (const [words] of commands(tree))
    it(`${words.join(" ")} --help shows an example and ends with 0`, async () => {
      const { code, out } = await nsmctl(...words, "--help");
      assert.equal(code, 0);
      assert.match(out, /Examples?:\n {2}(source <\()?nsmctl /);
    });

  it("has -o table|json|yaml on every reading command", () => {
    for (const line of ["get", "describe", "trace", "request-connection", "lab status", "policy get"]) {
      const found = [...commands(tree)].find(([words]) => words.join(" ") === line)?.[1];
      assert.deepEqual(found?.options.find((option) => option.short === "-o")?.argChoices, ["table", "json", "yaml"], line);
    }
  });

  for (const [line, words] of [
    ["nothing-like-it", /unknown command/],
    ["get", /missing required argument/],
    ["get cats", /services/],
    ["get nodes -o xml", /table, json, yaml/],
    ["request-connection x --mechanism pigeon --pod y", /node-tunnel/],
    ["request-connection x", /--pod NAME, --netns PATH or --pid N/],
    ["request-connection x --pod a --pid 1", /one of/],
    ["request-connection x --pid zero", /--pid/],
    ["request-connection x --pod a --interface averylonginterface", /15/],
    ["serve x --pod a", /--cidr/],
    ["serve x --pod a --cidr 1.2.3.4", /1\.2\.3\.4/],
    ["lab up --sites Paris", /Paris/],
    ["lab up --underlay 5", /4, 6/],
    ["lab pod add x", /--node/],
    ["get nodes", /--connect-to/],
    ["get nodes --connect-to ftp://x", /ftp/],
    ["get nodes --connect-to unix:///x --node y", /not both/],
    ["request-connection x --pid 1 --pod-label role", /--pod-label takes key=value/],
    ["request-connection x --pid 1 --ip 10.60.0.0/16", /--ip takes an address such as 10\.60\.0\.5/],
    ["request-connection x --pid 1 --announce 10.60.0.1/16", /--announce 10\.60\.0\.1\/16 has bits beyond its length/],
    ["request-connection x --pid 1 --service http:80", /http:8080\/tcp`; got "http:80"/],
    ["request-connection x --pid 1 --sticky A", /camera-1; got "A"/],
    ["get members", /say of which segment: `nsmctl get members NAME`/],
    ["get nodes paris-1", /takes no name, got "paris-1"/],
    ["describe member camera", /services/],
    ["apply", /--file/],
    ["apply -f /nowhere/segment.yaml", /\/nowhere\/segment.yaml cannot be read/],
    ["apply -f package.json", /package.json, line 3: the key "version" is not known; a segment has kind, name/],
    ["create segment plant", /--layer/],
    ["create segment plant --layer l4", /l2, l3/],
    [
      "create segment plant --layer l3 --prefix 10.60.0.1/16",
      /--prefix 10\.60\.0\.1\/16 has bits beyond its length; write 10\.60\.0\.0\/16/,
    ],
    ["create segment plant --layer l3 --prefix 10.60.0.0/16,10.61.0.0/16", /--prefix takes one prefix per family/],
    ["create segment plant --layer l3 --mtu big", /--mtu takes auto or a number of bytes/],
    ["create segment plant --layer l3 --allow-label role", /--allow-label takes key=value/],
    ["create segment plant --layer l3 --registry rome", /--registry takes unix:\/\/\/PATH or a site of the lab/],
    ["get nodes --prefix 10.60.0.0/16", /--prefix takes the name of a lab here, which has no slash, got "10\.60\.0\.0\/16"/],
    ["delete segment a/b", /a segment's name/],
    ["ping camera", /--from NAME, --netns PATH or --pid N/],
    ["ping camera --pid 1 --count 0", /--count takes a number/],
    ["graph -o dot", /mermaid, json/],
    ["graph --connect-to ftp://x", /ftp/],
    ["policy apply", /--file/],
    ["policy apply -f /nowhere/policy.yaml", /\/nowhere\/policy.yaml cannot be read/],
    ["policy apply -f package.json", /package.json, line 2: the key "name" is not known; a policy has allow/],
    ["policy explain --as anna --may request --service x -f examples/policy.yaml", /"anna" is no SPIFFE id/],
    ["policy test --as spiffe://a/b --may eat --service x -f examples/policy.yaml", /register, find, request, monitor/],
  ] as const)
    it(`ends "${line}" with 2 and a sentence`, async () => {
      const { code, out, err } = await nsmctl(...line.split(" "));
      assert.equal(code, 2, err);
      assert.match(err, words);
      assert.match(err, /^nsmctl: /);
      assert.equal(out, "");
    });

  for (const line of ["lab status", "lab kill", "lab pod add x --node paris-1", "get nodes --node paris-1", "lab exec paris-1 -- true"])
    it(`ends "${line}" with 1 where no lab is up, and says how to raise one`, async () => {
      const { code, err } = await nsmctl(...line.split(" "));
      assert.equal(code, 1, err);
      assert.match(err, /nsmctl lab up --prefix ut-none/);
    });

  it("takes down what is not there", async () => {
    const { code, out } = await nsmctl("lab", "down");
    assert.equal(code, 0);
    assert.match(out, /nothing to do/);
  });

  it("says which socket does not answer", async () => {
    const { code, err } = await nsmctl("get", "nodes", "--connect-to", "unix:///run/ut-none.sock");
    assert.equal(code, 1);
    assert.match(err, /\/run\/ut-none\.sock/);
  });
});

describe("an error", () => {
  it("says what failed, at which hop, and what to do", () => {
    const error = new MeshError("no-forwarder", "no forwarder on paris-1 offers VXLAN", { hop: "nsmgr-paris-1" });
    assert.equal(
      explain(error),
      "nsmctl: no forwarder on paris-1 offers VXLAN\n  at: nsmgr-paris-1\n  do: see this node's forwarders with `nsmctl get forwarders`\n",
    );
  });

  it("gives no second advice", () => {
    assert.equal(explain(new MeshError("not-found", "no lab; run `nsmctl lab up`")), "nsmctl: no lab; run `nsmctl lab up`\n");
  });
});

describe("a table", () => {
  it("lines its columns up", () => {
    assert.equal(
      table(["name", "establishedMs"], [{ name: "a", establishedMs: 1 }, { name: "longer" }]),
      "NAME    ESTABLISHED MS\na       1\nlonger  -",
    );
  });

  it("writes out what would move a terminal's cursor, as an error does", () => {
    const evil = "\u001b[2J\u009b1m\r\nup";
    const shown = "\\u001b[2J\\u009b1m\\u000d\\u000aup";
    assert.equal(table(["url"], [{ url: evil }]), `URL\n${shown}`);
    // Some of ours have several lines: the last ones of a log.
    assert.equal(explain(new MeshError("not-found", evil)), `nsmctl: ${shown.replace("\\u000a", "\n")}\n`);
  });
});

describe("progress", () => {
  it("is quiet for two seconds, then says what goes on and never twice", async () => {
    const { said, clock, context } = shell();
    const done = withProgress(context, "first", async (step) => {
      step("second");
      await clock.sleep(5_000, context.signal);
      step("third");
      step("fourth");
      await clock.sleep(1_000, context.signal);
      return 7;
    });
    await clock.advance(1_999);
    assert.equal(said.err, "");
    await clock.advance(4_001);
    assert.equal(await done, 7);
    assert.equal(said.err, "second …\nfourth …\n");
    assert.equal(clock.pending, 0);
  });
});

describe("completion", () => {
  const names = {
    nodes: () => ["paris-1", "tokyo-1"],
    pods: () => ["client", "server"],
    services: async () => ["icmp"],
    segments: async () => ["plant"],
    members: async () => ["camera", "viewer"],
  };
  const after = (line: string) => complete(tree, line.split(" "), names);

  for (const [line, expected] of [
    ["ge", ["get"]],
    ["lab ", ["down", "exec", "kill", "pod", "start", "status", "stop", "up"]],
    ["lab pod ", ["add", "remove"]],
    ["lab pod remove ", ["client", "server"]],
    ["lab exec ", ["client", "paris-1", "server", "tokyo-1"]],
    ["lab kill p", ["paris-1"]],
    ["lab exec paris-1 -- ", []],
    ["get at", ["attachment", "attachments"]],
    ["--node ", ["paris-1", "tokyo-1"]],
    ["--node paris-1 get con", ["connection", "connections"]],
    ["request-connection ", ["icmp"]],
    ["request-connection icmp --pod c", ["client"]],
    ["request-connection icmp --mechanism ", ["auto", "node-tunnel", "vxlan", "wireguard"]],
    ["get nodes -o ", ["json", "table", "yaml"]],
    ["get mem", ["member", "members"]],
    ["get members ", ["plant"]],
    ["get nodes ", []],
    ["describe seg", ["segment", "segments"]],
    ["describe mem", []],
    ["create ", ["segment"]],
    ["create segment plant --layer ", ["l2", "l3"]],
    ["delete segment ", ["plant"]],
    ["describe segment ", ["plant"]],
    ["describe service ", ["icmp"]],
    ["describe nodes p", ["paris-1"]],
    ["describe connection ", []],
    ["ping ", ["camera", "viewer"]],
    ["ping camera --segment ", ["plant"]],
    ["ping camera --from c", ["client"]],
    ["graph -o ", ["json", "mermaid"]],
    ["lab up --und", ["--underlay"]],
    ["completion ", ["bash", "fish", "zsh"]],
  ] as const)
    it(`after "${line}"`, async () => assert.deepEqual(await after(line), expected));

  for (const name of ["bash", "zsh", "fish"])
    it(`has a script for ${name} that asks nsmctl itself`, async () => {
      assert.equal((await nsmctl("completion", name)).out, scripts[name]);
      assert.match(scripts[name] ?? "", /nsmctl __complete --/);
    });
});
