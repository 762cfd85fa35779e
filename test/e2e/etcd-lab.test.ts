import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { Lab, type Requested } from "../lib/lab.js";
import { metricsIn } from "../lib/metrics.js";
import { nodeClient } from "../lib/nodeClient.js";
import { pingAll } from "../lib/ping.js";
import { PingStream } from "../lib/stream.js";
import { until } from "../lib/until.js";

interface Program {
  readonly node: string;
  readonly program: string;
  readonly pid: number;
  readonly state: string;
  readonly metrics: string;
  readonly log: string;
}

/** The contract's bound for a request that can be answered, and for a frozen member to be noticed. */
const boundMs = 5_000;
const nodes = ["paris-1", "paris-2", "tokyo-1", "lima-1"];

describe("a lab whose registries share an etcd", function () {
  this.timeout(60_000);
  let lab: Lab;
  let far: Requested;
  /** Endpoints of paris whose registration was acknowledged. */
  const acknowledged: string[] = [];

  before(async () => {
    const args = ["--store", "etcd", "--etcd-members", "3", "--registries", "2"];
    lab = await Lab.up("te-etcd", { sites: "paris=2,tokyo=1,lima=1", args });
    await Promise.all([lab.pod("client", "paris-1"), lab.pod("local", "paris-2"), lab.pod("server", "tokyo-1"), lab.pod("lima", "lima-1")]);
    await Promise.all([lab.serve("tokyo-1", "echo", "server", "172.16.1.0/24"), serve()]);
    far = await lab.request("paris-1", "echo", "client");
  });

  after(async () => {
    await lab[Symbol.asyncDispose]();
  });

  const programs = async () => (await lab.json<{ programs: Program[] }>("lab", "status")).programs;

  async function serve(): Promise<void> {
    const name = `local-${acknowledged.length + 1}`;
    await lab.serve("paris-2", "local", "local", `172.16.2.${16 * acknowledged.length}/28`, "--name", name);
    acknowledged.push(name);
  }

  async function request(): Promise<void> {
    const connection = await lab.request("paris-1", "local", "client");
    await lab.close("paris-1", connection.id);
  }

  /** Under a fault everything is answered in time, no packet is lost, and afterwards nothing that was acknowledged is missing. */
  async function survives(
    fault: () => Promise<unknown>,
    answered: readonly (() => Promise<void>)[],
    mend: () => Promise<unknown>,
  ): Promise<void> {
    await using stream = await PingStream.start(lab, "client", far.peerAddresses[0] ?? "");
    try {
      await fault();
      for (const ask of answered) {
        const began = performance.now();
        await ask();
        assert.ok(performance.now() - began < boundMs, `${ask.name} took ${Math.round(performance.now() - began)} ms`);
      }
    } finally {
      await mend();
    }
    await serve();
    // The nsmgrs of the two nodes ask a registry each.
    for (const node of ["paris-1", "paris-2"]) await listed(lab, node, acknowledged);
    const { lost, sent } = await stream.stop();
    assert.equal(lost, 0, `of ${sent}`);
  }

  it("requests in paris what tokyo serves by its plain name, and in lima by its name with the site", async () => {
    assert.match(far.endpoint, /^echo-.*@tokyo$/);
    assert.deepEqual([far.mechanism, far.path.length], ["node-tunnel", 6]);
    await pingAll(lab, "client", far.peerAddresses);
    const named = await lab.request("lima-1", "echo@tokyo", "lima");
    assert.equal(named.service, "echo@tokyo");
    await pingAll(lab, "lima", named.peerAddresses);
    await lab.close("lima-1", named.id);
  });

  it("has every program healthy, and each etcd with its data and keys where only their owner can read them", async () => {
    const all = (await programs()).filter(({ program }) => program !== "wireguard-go");
    assert.deepEqual(
      nodes.map((node) => all.filter((one) => one.node === node).map(({ program }) => program)),
      [
        ["etcd-1", "etcd-3", "registry", "nsmgr", "forwarder"],
        ["etcd-2", "registry", "nsmgr", "forwarder"],
        ["etcd-1", "etcd-2", "etcd-3", "registry", "nsmgr", "forwarder"],
        ["etcd-1", "etcd-2", "etcd-3", "registry", "nsmgr", "forwarder"],
      ],
    );
    assert.deepEqual([...new Set(all.map(({ state }) => state))], ["healthy"]);
    const state = `/var/lib/isthmus/${lab.prefix}`;
    for (const file of ["paris/ca.key", "paris/etcd-member.key", "paris/etcd-registry.key"])
      assert.equal(statSync(`${state}/${file}`).mode & 0o777, 0o600, file);
    assert.equal(statSync(`${state}/paris-1/etcd-1`).mode & 0o777, 0o700);
  });

  it("refuses a client without a certificate on every TCP port, and speaks TLS 1.3 there; only metrics on loopback are exempt", async () => {
    const all = await programs();
    const portsOf = async (node: string) => {
      const lines = (await lab.exec(node, "ss", "-Hltn")).trim().split("\n");
      const ports = lines.map((line) => line.trim().split(/\s+/)[3] ?? "");
      const exempt = all.filter((one) => one.node === node && one.metrics !== "").map(({ metrics }) => new URL(metrics).host);
      return ports.filter((port) => !exempt.includes(port));
    };
    const found = await Promise.all(nodes.map(portsOf));
    // nsmgr and registry have one each, a member of etcd one for clients and one for its peers.
    assert.deepEqual(
      found.map((ports) => ports.length),
      [6, 4, 8, 8],
      JSON.stringify(found),
    );
    const attempts = found.flat().map(async (port) => {
      const { stdout, stderr } = await lab.tryExec("wan", "openssl", "s_client", "-connect", port, "-alpn", "h2", "-ign_eof");
      assert.match(stdout, /TLSv1\.3/, port);
      assert.match(stderr, /alert (certificate required|bad certificate)/, port);
    });
    await Promise.all(attempts);
  });

  it("survives the kill of etcd's leader", async () => {
    const leader = await leaderOf(lab, await programs());
    await survives(
      () => lab.ctl("lab", "kill", `paris/${leader.program}`),
      [request, serve],
      () => lab.ctl("lab", "start"),
    );
  });

  it("survives the kill of a registry, whose nodes ask the other", async () => {
    await survives(
      () => lab.ctl("lab", "kill", "paris-1/registry"),
      [request, serve],
      () => lab.ctl("lab", "start"),
    );
  });

  it("survives the kill of two of three members, and registers again when they are back", async () => {
    const two = ["paris/etcd-1", "paris/etcd-2"];
    const kill = () => Promise.all(two.map((member) => lab.ctl("lab", "kill", member)));
    await survives(kill, [request], () => lab.ctl("lab", "start", "paris/etcd"));
  });

  it("leaves a frozen member within 5 s", async () => {
    const all = await programs();
    const registry = all.find(({ node, program }) => node === "paris-1" && program === "registry") as Program;
    const url = await until("a member answers it", boundMs, () => answering(registry));
    const pid = pidOf(url, all);
    const left = () => until("the registry has left it", boundMs, () => answering(registry) !== url).then(() => {});
    const signal = (name: "SIGSTOP" | "SIGCONT") => async () => process.kill(pid, name);
    await survives(signal("SIGSTOP"), [left, request, serve], signal("SIGCONT"));
  });
});

/** Resolves when a node's registry shows all of these. */
async function listed(lab: Lab, node: string, names: readonly string[]): Promise<void> {
  await using client = nodeClient(lab, node);
  const { signal } = new AbortController();
  await until(`${node} sees ${names.join(", ")}`, boundMs, async () => {
    const all = (await client.node.listEndpoints(signal)).map(({ name }) => name);
    return names.every((name) => all.includes(name));
  });
}

/** The member that leads the etcd of paris. */
function leaderOf(lab: Lab, programs: readonly Program[]): Promise<Program> {
  const members = programs.filter(({ node, program }) => node.startsWith("paris-") && program.startsWith("etcd-"));
  return until("one leads", boundMs, async () => {
    for (const member of members)
      if (metricsIn(await lab.get(member.node, member.metrics)).get("etcd_server_is_leader")?.[0]?.value === 1) return member;
    return undefined;
  });
}

/** The member of etcd that a registry asks and has an answer from, by its log. */
function answering({ log }: Program): string | undefined {
  const said = readFileSync(log, "utf8")
    .split("\n")
    .filter((line) => /"etcd member (answers|left)"/.test(line));
  const last = JSON.parse(said.at(-1) ?? "{}") as { readonly msg?: string; readonly member?: string };
  return last.msg === "etcd member answers" ? last.member : undefined;
}

function pidOf(url: string, programs: readonly Program[]): number {
  for (const { pid, program } of programs)
    if (program.startsWith("etcd-") && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`--listen-client-urls=${url}\0`)) return pid;
  return assert.fail(`no program listens at ${url}`);
}
