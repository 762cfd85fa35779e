import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Connection } from "../../api/gen/connection/connection.js";
import { newFolder } from "../lib/folder.js";
import { Lab } from "../lib/lab.js";
import type { AuditLine } from "../lib/mesh/audit.js";
import { nodeClient } from "../lib/nodeClient.js";
import type { Attempt, Loot } from "../lib/thief.js";
import { until } from "../lib/until.js";

const prefix = "te-pol";
const paris = `paris.${prefix}.lab`;
const everybody = `  - { name: all, who: [${paris}], may: [register, find, monitor], services: ["*"] }
  - { name: open, who: [${paris}], may: [request], services: [echo] }
`;
const viewersOnly = `allow:
${everybody}  - name: viewers
    who: ["spiffe://${paris}/node/*/nsmgr/isthmus-pod/*"]
    may: [request]
    services: [vault]
    pods: { role: viewer }
`;
const guestsToo = viewersOnly.replace("role: viewer", 'role: "*"');

/** A file in the state folder of a program. */
const stateFile = (node: string, program: string, name: string): string => `/var/lib/isthmus/${prefix}/${node}/${program}/${name}`;
/** What a program wrote into its audit log. */
const auditOf = (node: string, program: string): AuditLine[] =>
  readFileSync(stateFile(node, program, "audit.log"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as AuditLine);

describe("a policy in a lab", function () {
  this.timeout(60_000);
  let lab: Lab;
  const folder = newFolder();
  const file = join(folder.path, "policy.yaml");

  before(async () => {
    lab = await Lab.up(prefix, { sites: "paris=2,lima=1" });
    await Promise.all([lab.pod("client", "paris-1"), lab.pod("server", "paris-2"), lab.pod("visitor", "lima-1")]);
    await lab.serve("paris-2", "vault", "server", "172.16.1.0/24");
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
  const pod = `spiffe://${paris}/node/paris-1/nsmgr/isthmus-pod/client`;

  it("lets the pods of a joined site ask for what is exported, and that site's nodes do nothing with what is none of their business", async () => {
    const visit = await lab.request("lima-1", "vault", "visitor");
    assert.match(visit.endpoint, /@paris$/);
    await lab.close("lima-1", visit.id);
    const { id } = await lab.request("paris-1", "vault", "client");
    const thief = `spiffe://lima.${prefix}.lab/node/lima-1/nsmgr`;
    const attempts = await plunder(lab, id);
    const [registry, ...nodes] = ["tcp://10.101.0.11:5002", "tcp://10.101.0.11:5001", "tcp://10.101.0.12:5001"];
    const what = ["register", "find", "close", "change", "watch", "act for a pod", "act for a pod"];
    assert.deepEqual(
      attempts.map((one) => `${one.what} ${one.url} ${one.code}`).sort(),
      [
        ...["register", "find"].map((one) => `${one} ${registry} denied`),
        ...nodes.flatMap((url) => what.map((one) => `${one} ${url} denied`)),
      ].sort(),
      JSON.stringify(attempts, undefined, 1),
    );
    const logs = {
      [registry ?? ""]: auditOf("paris-1", "registry"),
      [nodes[0] ?? ""]: auditOf("paris-1", "nsmgr"),
      [nodes[1] ?? ""]: auditOf("paris-2", "nsmgr"),
    };
    for (const one of attempts) {
      const line = logs[one.url]?.find(({ sentence }) => one.message.includes(sentence));
      assert.deepEqual([line?.event, line?.who], ["denied", thief], `${one.what} at ${one.url}: ${one.message}`);
    }
    const registering = attempts.find((one) => one.what === "register" && one.url === registry);
    assert.ok(
      registering?.message.includes(`${thief} may not register "vault": no rule of the site's policy allows it`),
      registering?.message,
    );
    const [attachment] = await lab.json<{ id: string; state: string }[]>("--node", "paris-1", "get", "attachments");
    assert.deepEqual([attachment?.id, attachment?.state], [id, "up"]);
    await lab.close("paris-1", id);
  });

  it("forbids a service to pods with a label, says so to who asks, writes it down, and allows it within 2 s of a change", async () => {
    const applied = await apply(viewersOnly);
    assert.equal(applied.code, 0, applied.stderr);
    assert.match(applied.stdout, /version 1 of the policy holds: 3 rules/);
    await until("it holds in paris-1", 2_000, async () => (await request("guest")).code === 1);

    const denied = await request("guest");
    const sentence = `${pod} (a pod with role=guest) may not request "vault": no rule of the site's policy allows it, rule 3 (viewers) comes nearest but is for pods with role=viewer`;
    assert.ok(denied.stderr.includes(sentence), denied.stderr);
    assert.ok(!denied.stderr.includes("do:"), "the sentence says what to do");
    assert.equal(statSync(stateFile("paris-1", "nsmgr", "audit.log")).mode & 0o777, 0o600);
    const lines = auditOf("paris-1", "nsmgr");
    const line = lines.find(({ event, who }) => event === "denied" && who === pod);
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
    assert.match(refused.stderr, /would lock out 4 of those it must not: spiffe:\/\/paris\.te-pol\.lab\/node\/paris-1\/forwarder/);
    assert.match(await lab.ctl("policy", "get"), /# version 2, applied .*role: "\*"/s);
    assert.equal(await lab.ctl("policy", "get", "-o", "yaml"), guestsToo);
    const explained = await lab.ctl(
      ...["policy", "explain", "--as", pod, "--may", "request", "--service", "vault", "--pod-label", "role=x"],
    );
    assert.equal(explained, "allowed by rule 3 (viewers)\n");
    const told = auditOf("paris-1", "registry").filter(({ event }) => event === "changed");
    assert.deepEqual(
      told.map(({ who, on }) => `${who} ${on}`),
      ["federation peers/lima", "the administrator version 1", "the administrator version 2"],
    );
  });
});

/** All that somebody can try who has the identity of lima-1's nsmgr and knows everything of the attachment `id` of paris-1. */
async function plunder(lab: Lab, id: string): Promise<Attempt[]> {
  await using client = nodeClient(lab, "paris-1");
  const attachment = (await client.node.listAttachments(new AbortController().signal)).find((one) => one.id === id);
  const loot: Loot = {
    identityFile: stateFile("lima-1", "nsmgr", "identity.json"),
    authorities: { [paris]: stateFile("paris-1", "registry", "ca.pem") },
    registry: "tcp://10.101.0.11:5002",
    connection: Buffer.from(Connection.encode(attachment?.connection ?? assert.fail()).finish()).toString("base64"),
    hops: [
      { url: "tcp://10.101.0.11:5001", at: 1 },
      { url: "tcp://10.101.0.12:5001", at: 3 },
    ],
  };
  const script = fileURLToPath(new URL("../lib/thief.ts", import.meta.url));
  return JSON.parse(await lab.exec("lima-1", process.execPath, "--import=tsx", script, JSON.stringify(loot))) as Attempt[];
}
