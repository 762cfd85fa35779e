import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { Lab } from "../lib/lab.js";
import { until } from "../lib/until.js";

interface Status {
  readonly nodes: readonly { readonly name: string; readonly address: string }[];
  readonly programs: readonly {
    readonly node: string;
    readonly program: string;
    readonly pid: number;
    readonly state: string;
    readonly log: string;
  }[];
  readonly pods: readonly { readonly name: string; readonly node: string }[];
}

const prefix = "kc-lab";

/** Everything on this machine that bears the prefix. */
function left(): string[] {
  const list = (folder: string) => (existsSync(folder) ? readdirSync(folder) : []);
  const processes = list("/proc").filter((pid) => /^\d+$/.test(pid) && environment(pid).includes(`/${prefix}/`));
  return [
    ...list("/run/netns").filter((name) => name.startsWith(prefix)),
    ...["/run/isthmus", "/var/lib/isthmus"].filter((folder) => list(folder).includes(prefix)),
    ...processes.map((pid) => `process ${pid}`),
  ];
}

function environment(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8");
  } catch {
    return "";
  }
}

describe("a lab", function () {
  this.timeout(120_000);
  let lab: Lab;
  const status = () => lab.json<Status>("lab", "status");

  before(async () => {
    lab = await Lab.up(prefix, { sites: "paris=1,tokyo=1" });
  });

  after(async () => {
    await lab.ctl("lab", "down");
  });

  it("has every program healthy when `up` returns", async () => {
    const { nodes, programs } = await status();
    assert.deepEqual(
      nodes.map((node) => `${node.name} ${node.address}`),
      ["paris-1 10.101.0.11", "tokyo-1 10.102.0.11"],
    );
    assert.deepEqual(
      programs.filter(({ program }) => program !== "wireguard-go").map((one) => `${one.node} ${one.program} ${one.state}`),
      [
        "paris-1 registry healthy",
        "paris-1 nsmgr healthy",
        "paris-1 forwarder healthy",
        "tokyo-1 registry healthy",
        "tokyo-1 nsmgr healthy",
        "tokyo-1 forwarder healthy",
      ],
    );
    for (const { log } of programs) if (log !== "") assert.ok(existsSync(log), log);
  });

  it("keeps what it knows from others", () => {
    assert.equal(statSync(`/run/isthmus/${prefix}/lab.json`).mode & 0o777, 0o600);
  });

  it("is not raised twice", async () => {
    const again = await lab.tryCtl("lab", "up");
    assert.equal(again.code, 1);
    assert.match(again.stderr, /is up already.*lab down --prefix kc-lab/);
  });

  it("is not disturbed by another one beside it", async () => {
    await using other = await Lab.up(`${prefix}-b`, { sites: "lima=1" });
    assert.equal((await other.json<Status>("lab", "status")).nodes.length, 1);
    assert.ok((await status()).programs.every((one) => one.state !== "stopped"));
  });

  it("adds pods, many at a time, and removes them with what runs in them", async () => {
    const names = ["a", "b", "c", "d"];
    await Promise.all(names.map((name) => lab.pod(name, "tokyo-1")));
    assert.deepEqual((await status()).pods.map((pod) => pod.name).sort(), names);
    await using sleeper = lab.spawn("pod-a", "sleep", "100");
    await lab.ctl("lab", "pod", "remove", ...names);
    assert.equal((await sleeper.done).code, null);
    assert.deepEqual((await status()).pods, []);
    assert.ok(!existsSync(lab.netns("pod-a")));
  });

  it("refuses a pod beside no node, with a taken name, and one that is not there", async () => {
    await lab.pod("one", "paris-1");
    for (const [args, words] of [
      [["pod", "add", "two", "--node", "rome-1"], /no node rome-1.*paris-1, tokyo-1/],
      [["pod", "add", "one", "--node", "tokyo-1"], /exists already, on paris-1/],
      [["pod", "remove", "two"], /no pod two.*one/],
    ] as const) {
      const done = await lab.tryCtl("lab", ...args);
      assert.equal(done.code, 1);
      assert.match(done.stderr, words);
    }
    await lab.ctl("lab", "pod", "remove", "one");
  });

  it("runs commands in nodes and passes their exit code on", async () => {
    assert.match(await lab.ctl("lab", "exec", "paris-1", "--", "ip", "-br", "address"), /10\.101\.0\.11/);
    assert.equal((await lab.tryCtl("lab", "exec", "tokyo-1", "--", "sh", "-c", "exit 7")).code, 7);
    assert.equal((await lab.tryCtl("lab", "exec", "tokyo-1", "--", "sh", "-c", "kill -9 $$")).code, 137);
    const missing = await lab.tryCtl("lab", "exec", "tokyo-1", "--", "no-such-command");
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /no-such-command/);
  });

  it("pings from a pod, and passes on how it ended", async () => {
    await lab.pod("pinger", "tokyo-1");
    await lab.exec("pod-pinger", "ip", "link", "set", "lo", "up");
    assert.match(await lab.ctl("ping", "127.0.0.1", "--from", "pinger", "--count", "2"), /2 packets transmitted, 2 received/);
    assert.match(await lab.ctl("ping", "127.0.0.1", "--netns", lab.netns("pod-pinger"), "--count", "1"), /1 received/);
    const nowhere = await lab.tryCtl("ping", "10.99.0.1", "--from", "pinger", "--count", "1");
    assert.equal(nowhere.code, 2, "as ping ends where there is no way");
    const nobody = await lab.tryCtl("ping", "camera", "--from", "pinger");
    assert.equal(nobody.code, 1);
    assert.match(nobody.stderr, /no member camera in any segment; nobody is there/);
    await lab.ctl("lab", "pod", "remove", "pinger");
  });

  it("is drawn with all of its sites", async () => {
    const { sites } = await lab.json<{ readonly sites: unknown }>("graph");
    assert.deepEqual(sites, [
      { name: "paris", nodes: ["paris-1"] },
      { name: "tokyo", nodes: ["tokyo-1"] },
    ]);
    assert.match(await lab.ctl("graph"), /^flowchart LR\n {2}subgraph site1\["paris"\]\n {4}node2\["paris-1"\]\n {2}end\n/);
    assert.doesNotMatch(await lab.ctl("--node", "tokyo-1", "graph"), /paris/);
  });

  it("kills one program, a node's, a site's registry, and starts them again", async () => {
    const stopped = async () =>
      (await status()).programs.filter((one) => one.state === "stopped").map((one) => `${one.node} ${one.program}`);
    await lab.ctl("lab", "kill", "tokyo-1/forwarder");
    assert.deepEqual(await stopped(), ["tokyo-1 forwarder"]);
    await lab.ctl("lab", "kill", "tokyo-1");
    assert.deepEqual((await stopped()).sort(), ["tokyo-1 forwarder", "tokyo-1 nsmgr"]);
    await lab.ctl("lab", "stop", "paris");
    assert.deepEqual((await stopped()).sort(), ["paris-1 registry", "tokyo-1 forwarder", "tokyo-1 nsmgr"]);
    await lab.ctl("lab", "start");
    await until("everything is healthy", 5_000, async () => (await status()).programs.every((one) => one.state !== "stopped"));
  });

  it("names what it does not know to kill", async () => {
    for (const [target, words] of [
      ["rome", /no node or site rome/],
      ["tokyo-1/gateway", /runs no gateway; it runs registry, nsmgr, forwarder, wireguard-go/],
      ["tokyo/forwarder", /site tokyo has no forwarder of its own; it has registry/],
    ] as const)
      assert.match((await lab.tryCtl("lab", "kill", target)).stderr, words);
  });

  it("that a killed nsmctl left half-made is removed by the next one", async () => {
    await lab.ctl("lab", "down");
    await using raising = lab.start("lab", "up", "--sites", "paris=1,tokyo=1");
    await until("programs are being started", 20_000, started);
    await raising.stop("SIGKILL");
    assert.notDeepEqual(left(), []);
    await lab.ctl("lab", "up", "--sites", "lima=1");
    const { nodes, programs } = await status();
    assert.deepEqual(
      nodes.map((node) => node.name),
      ["lima-1"],
    );
    assert.ok(programs.every((one) => one.state === "healthy" || one.program === "wireguard-go"));
    assert.ok(!existsSync(lab.netns("tokyo-1")));
  });

  it("that is interrupted while it is raised takes itself down", async () => {
    await lab.ctl("lab", "down");
    await using raising = lab.start("lab", "up", "--sites", "paris=1,tokyo=1");
    await until("programs are being started", 20_000, started);
    const done = await raising.stop("SIGINT");
    assert.equal(done.code, 1);
    assert.match(done.stderr, /interrupted/);
    assert.deepEqual(left(), []);
  });

  it("leaves nothing, and can be taken down twice", async () => {
    await lab.ctl("lab", "up", "--sites", "paris=1");
    await lab.pod("one", "paris-1");
    // As an nsmctl leaves it that is killed while it waits for its turn; no process has that number.
    writeFileSync(`/run/isthmus/${prefix}/lab.lock.4194304`, "");
    await lab.ctl("lab", "down");
    assert.deepEqual(left(), []);
    assert.match(await lab.ctl("lab", "down"), /nothing to do/);
  });

  /** Whether lab.json names processes already. */
  function started(): boolean {
    try {
      return (JSON.parse(readFileSync(`/run/isthmus/${prefix}/lab.json`, "utf8")) as { programs: unknown[] }).programs.length > 0;
    } catch {
      return false;
    }
  }
});
