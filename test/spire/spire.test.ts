import assert from "node:assert/strict";
import { type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { ProgramName } from "../../cli/lab/layout.js";
import type { Requested } from "../lib/lab.js";
import { bare, pingAll } from "../lib/ping.js";
import { raiseSpireLab, type SpireLab } from "../lib/spireLab.js";
import { PingStream } from "../lib/stream.js";
import { until } from "../lib/until.js";

const trustDomain = "corp.example";
/** As somebody might name them who has never seen ours. */
const paths: Readonly<Record<ProgramName, string>> = { registry: "directory", nsmgr: "manager", forwarder: "switch" };
const path = (program: ProgramName, node: string) => `/prod/hosts.of.net/${node}/mesh/${paths[program]}`;
const id = (program: ProgramName, node: string) => `spiffe://${trustDomain}${path(program, node)}`;
const anyOf = (program: ProgramName) => `spiffe://${trustDomain}/prod/hosts.of.net/*/mesh/${paths[program]}`;
const peerIds = `registry:${anyOf("registry")},nsmgr:${anyOf("nsmgr")},remote:${anyOf("nsmgr")},forwarder:${anyOf("forwarder")}`;

const programs: readonly (readonly [node: string, program: ProgramName])[] = [
  ["paris-1", "registry"],
  ["paris-1", "nsmgr"],
  ["paris-1", "forwarder"],
  ["paris-2", "nsmgr"],
  ["paris-2", "forwarder"],
];

describe("a site whose identities come from SPIRE", function () {
  this.timeout(120_000);
  let site: SpireLab;
  let connection: Requested;

  before(async () => {
    site = await raiseSpireLab({ prefix: "te-spire", nodes: 2, trustDomain, lifetime: 20, path, settings: { NSM_PEER_IDS: peerIds } });
    const { lab } = site;
    await Promise.all([lab.pod("client", "paris-1"), lab.pod("server", "paris-2")]);
    await lab.serve("paris-2", "echo", "server", "172.16.1.0/24,2001:db8:1::/112");
  });

  after(async () => {
    await site?.[Symbol.asyncDispose]();
  });

  /** What a program shows whoever connects. */
  async function shown(node: string, program: ProgramName): Promise<X509Certificate> {
    const socket = `/run/isthmus/te-spire/${node}/${program}.sock`;
    const { stdout } = await site.lab.tryExec(node, "openssl", "s_client", "-unix", socket, "-alpn", "h2");
    return new X509Certificate(stdout.slice(stdout.indexOf("-----BEGIN CERTIFICATE")));
  }

  const allShown = () => Promise.all(programs.map(([node, program]) => shown(node, program)));

  /** Resolves when every program shows another certificate that fits than it did. */
  async function allChange(what: string, fits: (certificate: X509Certificate) => boolean = () => true): Promise<void> {
    const before = await allShown();
    await until(what, 30_000, async () => {
      const now = await allShown();
      return now.every((certificate, at) => certificate.serialNumber !== before[at]?.serialNumber && fits(certificate));
    });
  }

  /** What SPIRE will sign with next; it is in the bundle already. */
  async function nextAuthority(): Promise<{ readonly authorityId: string; readonly key: KeyObject }> {
    const bundle = async () => (await site.spire.ctl("bundle", "show")).split(/(?=-----BEGIN)/);
    const before = await bundle();
    const prepared = JSON.parse(await site.spire.ctl("localauthority", "x509", "prepare", "-output", "json"));
    const added = (await bundle()).find((pem) => !before.includes(pem)) ?? "";
    return { authorityId: prepared.prepared_authority.authority_id, key: new X509Certificate(added).publicKey };
  }

  it("shows the ids that SPIRE gave, whatever their paths", async () => {
    assert.deepEqual(
      (await allShown()).map(({ subjectAltName }) => subjectAltName),
      programs.map(([node, program]) => `URI:${id(program, node)}`),
    );
  });

  it("carries a request from pod to pod, and packets in the node tunnel", async () => {
    connection = await site.lab.request("paris-1", "echo", "client");
    assert.equal(connection.path.length, 6);
    assert.equal(connection.mechanism, "node-tunnel");
    await pingAll(site.lab, "client", connection.peerAddresses);
    await pingAll(site.lab, "server", connection.addresses);
  });

  it("loses no packet while SVIDs change, an agent dies and comes back, and SPIRE's own authority changes", async () => {
    const { lab, spire } = site;
    await using stream = await PingStream.start(lab, "client", bare(connection.peerAddresses[0] ?? ""));
    const asksAgain = async () => lab.close("paris-1", (await lab.request("paris-1", "echo", "client")).id);
    await spire.killAgent("paris-2");
    await asksAgain();
    await spire.startAgent("paris-2");
    await allChange("every SVID has changed, those of the agent that died too");
    await asksAgain();
    const { authorityId, key } = await nextAuthority();
    await allChange("every SVID has changed, with the authority that is to come in its bundle");
    await spire.ctl("localauthority", "x509", "activate", "-authorityID", authorityId);
    await allChange("every SVID is from the new authority", (certificate) => certificate.verify(key));
    await asksAgain();
    assert.equal((await stream.stop()).lost, 0);
    const attachments = await lab.json<{ state: string; heals: number }[]>("--node", "paris-1", "get", "attachments");
    assert.deepEqual(
      attachments.map(({ state, heals }) => [state, heals]),
      [["up", 0]],
    );
  });

  it("has no place for a program that SPIRE does not know, which says so and waits", async () => {
    const name = "stranger";
    site.start("paris-2", "nsmgr", 7099, { NSM_NAME: name, NSM_STATE_DIR: "/var/lib/isthmus/te-spire/paris-2/stranger" });
    const log = `/run/isthmus/te-spire/paris-2/log/${name}.log`;
    const line = await until("it tells what is wrong", 10_000, () => /.*Workload API lost.*/.exec(readFileSync(log, "utf8"))?.[0]);
    assert.match(line, /no identity issued/);
  });
});
