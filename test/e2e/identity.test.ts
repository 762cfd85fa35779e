import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { newFolder } from "../lib/folder.js";
import { Lab, type Requested } from "../lib/lab.js";
import { bare } from "../lib/ping.js";
import { PingStream } from "../lib/stream.js";
import { until } from "../lib/until.js";

const nodes = ["paris-1", "tokyo-1"];
// The shortest that a registry gives.
const lifetimeMs = 20_000;

interface ListedAttachment {
  readonly id: string;
  readonly state: string;
  readonly heals: number;
}

describe("identities", function () {
  this.timeout(300_000);
  let lab: Lab;
  let connection: Requested;

  before(async () => {
    process.env.NSM_SVID_LIFETIME = `${lifetimeMs / 1000}s`;
    lab = await Lab.up("te-id", { sites: "paris=1,tokyo=1" });
    await Promise.all([lab.pod("client", "paris-1"), lab.pod("server", "tokyo-1")]);
    await lab.serve("tokyo-1", "echo", "server", "172.16.1.0/24");
    connection = await lab.request("paris-1", "echo", "client");
  });

  after(async () => {
    delete process.env.NSM_SVID_LIFETIME;
    await lab[Symbol.asyncDispose]();
  });

  /** Where a node's programs listen, as `10.101.0.11:5001`; their metrics, which only the node itself can read, are exempt. */
  async function ports(node: string): Promise<string[]> {
    const lines = (await lab.exec(node, "ss", "-Hltn")).trim().split("\n");
    return lines.map((line) => line.trim().split(/\s+/)[3] ?? "").filter((port) => !/^127\.0\.0\.1:808[123]$/.test(port));
  }

  /** The certificates that the programs of the nodes have now. */
  function certificates(): X509Certificate[] {
    return programs.map(([node, program]) => {
      const file = `/var/lib/isthmus/${lab.prefix}/${node}/${program}/identity.json`;
      return new X509Certificate((JSON.parse(readFileSync(file, "utf8")) as { chain: string }).chain);
    });
  }

  /** Milliseconds until all of them have ended. */
  const untilEnded = (given: readonly X509Certificate[]): number =>
    Math.max(...given.map(({ validTo }) => Date.parse(validTo))) + 1_000 - Date.now();

  const attachments = (): Promise<ListedAttachment[]> => lab.json<ListedAttachment[]>("--node", "paris-1", "get", "attachments");
  const programs = nodes.flatMap((node) => ["nsmgr", "forwarder"].map((program) => [node, program] as const));

  it("are asked for on every TCP port, which speaks TLS 1.3 and refuses a client without a certificate", async () => {
    const found = await Promise.all(nodes.map(ports));
    assert.deepEqual(
      found.map((all) => all.length),
      [2, 2], // nsmgr and registry
      JSON.stringify(found),
    );
    for (const port of found.flat()) {
      const { stdout, stderr } = await lab.tryExec("wan", "openssl", "s_client", "-connect", port, "-alpn", "h2", "-ign_eof");
      assert.match(stdout, /TLSv1\.3/, port);
      assert.match(stderr, /alert certificate required/, port);
    }
  });

  it("are asked for on every unix socket of NSM's API, and isthmus.v1 has one of its own for the owner alone", async () => {
    for (const node of nodes) {
      const run = `/run/isthmus/${lab.prefix}/${node}`;
      for (const socket of ["nsmgr.sock", "forwarder.sock", "endpoints.sock"]) {
        const { stderr } = await lab.tryExec(node, "openssl", "s_client", "-unix", `${run}/${socket}`, "-alpn", "h2", "-ign_eof");
        assert.match(stderr, /alert certificate required/, socket);
      }
      for (const socket of ["node.sock", "forwarder-admin.sock"]) assert.equal(statSync(`${run}/${socket}`).mode & 0o777, 0o600, socket);
    }
  });

  it("are kept where only their owner can read them, and so is the authority's key", () => {
    for (const [node, program] of programs)
      assert.equal(statSync(`/var/lib/isthmus/${lab.prefix}/${node}/${program}/identity.json`).mode & 0o777, 0o600);
    assert.equal(statSync(`/var/lib/isthmus/${lab.prefix}/paris-1/registry/ca.key`).mode & 0o777, 0o600);
  });

  it("come with a one-time token, which nsmctl prints or puts where only its owner can read it", async () => {
    assert.match(await lab.ctl("node", "invite", "paris-9"), /^isthmus-join-1\.[\w-]+\.[\w-]+\n$/);
    using folder = newFolder();
    const file = `${folder.path}/paris-9.token`;
    assert.equal(await lab.ctl("node", "invite", "paris-9", "--lifetime", "10m", "--file", file), "");
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const wrong = await lab.tryCtl("node", "invite", "paris/9");
    assert.match(wrong.stderr, /a node's name is made of/);
  });

  it("are never in a log or an environment", async () => {
    const secret = readFileSync(`/var/lib/isthmus/${lab.prefix}/paris-1/join-token`, "utf8").trim().split(".")[1] ?? "";
    const { code } = await lab.tryExec("wan", "grep", "-rqE", `${secret}|BEGIN PRIVATE KEY`, `/run/isthmus/${lab.prefix}`);
    assert.equal(code, 1);
    const { programs: running } = await lab.json<{ programs: { pid: number }[] }>("lab", "status");
    for (const { pid } of running) assert.ok(!readFileSync(`/proc/${pid}/environ`, "utf8").includes(secret));
  });

  it("change again and again under a connection, which loses no packet and does not heal, while new requests succeed", async () => {
    const changes = programs.map(() => 0);
    await using stream = await PingStream.start(lab, "client", bare(connection.peerAddresses[0] ?? ""));
    // Long enough that nothing lives on that began with the certificates of now, nor with those that followed them.
    const end = performance.now() + 2 * lifetimeMs;
    let had = certificates();
    while (performance.now() < end) {
      const now = await until("a certificate changes", lifetimeMs, () => {
        const found = certificates();
        return found.some(({ serialNumber }, at) => serialNumber !== had[at]?.serialNumber) && found;
      });
      now.forEach(({ serialNumber }, at) => {
        changes[at] = (changes[at] ?? 0) + Number(serialNumber !== had[at]?.serialNumber);
      });
      had = now;
      const extra = await lab.request("paris-1", "echo", "client");
      await lab.close("paris-1", extra.id);
    }
    assert.ok(
      changes.every((count) => count >= 3),
      `certificates changed ${changes.join(", ")} times`,
    );
    assert.equal((await stream.stop()).lost, 0);
    assert.deepEqual(await attachments().then((all) => all.map(({ state, heals }) => [state, heals])), [["up", 0]]);
  });

  it("are had again by programs that were dead for longer than theirs lasted, and no packet is lost meanwhile", async () => {
    await using stream = await PingStream.start(lab, "client", bare(connection.peerAddresses[0] ?? ""));
    await lab.ctl("lab", "kill");
    await pause(untilEnded(certificates()));
    await lab.ctl("lab", "start");
    await until("the attachment is up", 20_000, async () => (await attachments())[0]?.state === "up");
    assert.equal((await stream.stop()).lost, 0);
  });
});
