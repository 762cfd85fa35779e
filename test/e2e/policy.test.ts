import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { newFolder } from "../lib/folder.js";
import { Lab } from "../lib/lab.js";
import { until } from "../lib/until.js";

const prefix = "te-pol";
const everybody = `  - { name: all, who: [${prefix}.lab], may: [register, find, monitor], services: ["*"] }
  - { name: open, who: [${prefix}.lab], may: [request], services: [echo] }
`;
const viewersOnly = `allow:
${everybody}  - name: viewers
    who: ["spiffe://${prefix}.lab/node/*/nsmgr/pod/*"]
    may: [request]
    services: [vault]
    pods: { role: viewer }
`;
const guestsToo = viewersOnly.replace("role: viewer", 'role: "*"');

/** What a program wrote into its audit log. */
const auditLog = (node: string, program: string): string => `/var/lib/isthmus/${prefix}/${node}/${program}/audit.log`;

describe("a policy in a lab", function () {
  this.timeout(40_000);
  let lab: Lab;
  const folder = newFolder();
  const file = join(folder.path, "policy.yaml");

  before(async () => {
    lab = await Lab.up(prefix, { sites: "paris=1,tokyo=1" });
    await Promise.all([lab.pod("client", "paris-1"), lab.pod("server", "tokyo-1")]);
    await lab.serve("tokyo-1", "vault", "server", "172.16.1.0/24");
  });

  after(async () => {
    folder[Symbol.dispose]();
    await lab[Symbol.asyncDispose]();
  });

  const apply = async (text: string, ...more: string[]) => {
    writeFileSync(file, text);
    return await lab.tryCtl("policy", "apply", "-f", file, ...more);
  };
  const request = (role: string) =>
    lab.tryCtl(...["--node", "paris-1", "request-connection", "vault", "--pod", "client", "--pod-label", `role=${role}`, "-o", "json"]);
  const pod = `spiffe://${prefix}.lab/node/paris-1/nsmgr/pod/client`;

  it("forbids a service to pods with a label, says so to who asks, writes it down, and allows it within 2 s of a change", async () => {
    const applied = await apply(viewersOnly);
    assert.equal(applied.code, 0, applied.stderr);
    assert.match(applied.stdout, /version 1 of the policy holds: 3 rules/);
    await until("it holds in paris-1", 2_000, async () => (await request("guest")).code === 1);

    const denied = await request("guest");
    const sentence = `${pod} (a pod with role=guest) may not request "vault": no rule of the site's policy allows it, rule 3 (viewers) comes nearest but is for pods with role=viewer`;
    assert.ok(denied.stderr.includes(sentence), denied.stderr);
    assert.ok(!denied.stderr.includes("do:"), "the sentence says what to do");
    const log = auditLog("paris-1", "nsmgr");
    assert.equal(statSync(log).mode & 0o777, 0o600);
    const lines = readFileSync(log, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, string>);
    const line = lines.find(({ event }) => event === "denied");
    assert.deepEqual([line?.who, line?.what, line?.on], [pod, "request", "vault"]);
    assert.ok(line?.sentence?.includes(sentence));
    assert.ok(lines.some(({ event, on }) => event === "changed" && on === "version 1"));

    const viewer = await request("viewer");
    assert.equal(viewer.code, 0, viewer.stderr);
    assert.equal((await apply(guestsToo)).code, 0);
    await until("guests are allowed", 2_000, async () => (await request("guest")).code === 0);
  });

  it("that locks out the nodes is refused, with which ones, and the one before stays", async () => {
    const refused = await apply("allow: []");
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /would lock out 4 of those it must not: spiffe:\/\/te-pol\.lab\/node\/paris-1\/forwarder/);
    assert.match(await lab.ctl("policy", "get"), /# version 2, applied .*role: "\*"/s);
    assert.equal(await lab.ctl("policy", "get", "-o", "yaml"), guestsToo);
    const explained = await lab.ctl(
      ...["policy", "explain", "--as", pod, "--may", "request", "--service", "vault", "--pod-label", "role=x"],
    );
    assert.equal(explained, "allowed by rule 3 (viewers)\n");
    const registry = readFileSync(auditLog("paris-1", "registry"), "utf8");
    assert.match(registry, /"who":"the administrator","what":"policy","on":"version 2"/);
  });
});
