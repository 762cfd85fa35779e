import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { silent } from "../../../core/log.js";
import { expectedRoles } from "../../../identity/expected.js";
import { systemClock } from "../../../program/clock.js";
import { loadConfig } from "../../../program/config.js";
import { memberSettings, openIdentity } from "../../../program/identity.js";
import { authority, identified } from "../../lib/certificates.js";
import { failsWith, throwsWith } from "../../lib/chainKit.js";
import { newFolder } from "../../lib/folder.js";
import { answerWith, WorkloadApi } from "../../lib/workloadApi.js";

const id = "spiffe://spire.example/nsm/nsmgr";
const refuse = () => Promise.reject(new Error("nobody is asked"));

function open(folder: string, env: Record<string, string>) {
  const config = { ...loadConfig(memberSettings, { env, argv: [], programName: "nsmgr" }), stateDir: folder, maxTokenLifetime: 600_000 };
  const authority = { join: refuse, renew: refuse, async *followTrust() {} };
  return openIdentity(config, { program: "nsmgr", authority, clock: systemClock, log: silent, signal: AbortSignal.timeout(5_000) });
}

describe("a program's identity", () => {
  it("is the one in files, where it is told so", async () => {
    using folder = newFolder();
    const now = Date.now();
    const ca = await authority(now);
    const { svid } = await identified(ca, id, now);
    const file = (name: string, content: string) => {
      writeFileSync(join(folder.path, name), content, { mode: 0o600 });
      return join(folder.path, name);
    };
    await using opened = await open(folder.path, {
      NSM_IDENTITY: "files",
      NSM_SVID_CERT_FILE: file("c.pem", svid.chain.join("")),
      NSM_SVID_KEY_FILE: file("k.pem", svid.privateKey.export({ format: "pem", type: "pkcs8" }) as string),
      NSM_SVID_BUNDLE_FILE: file("b.pem", ca.certificate.toString()),
    });
    assert.equal(opened.identity.id, id);
    assert.equal(opened.roles.registry.matches("spiffe://spire.example/whoever"), true);
    assert.equal(opened.roles.registry.matches("spiffe://elsewhere/registry"), false);
  });

  it("is refused when not all files are named", async () => {
    using folder = newFolder();
    await failsWith("invalid", "NSM_IDENTITY=files needs", open(folder.path, { NSM_IDENTITY: "files", NSM_SVID_CERT_FILE: "/x" }));
  });

  it("is the Workload API's, where it is told so", async () => {
    using folder = newFolder();
    const now = Date.now();
    await using api = await WorkloadApi.serve(join(folder.path, "agent.sock"), answerWith(await identified(await authority(now), id, now)));
    await using opened = await open(folder.path, { NSM_IDENTITY: "workload-api", SPIFFE_ENDPOINT_SOCKET: api.socket });
    assert.equal(opened.identity.id, id);
  });

  it("comes from the site's authority else, and needs a token for that", async () => {
    using folder = newFolder();
    await failsWith("not-found", /no identity yet, and no join token: name a file with NSM_JOIN_TOKEN_FILE/, open(folder.path, {}));
  });
});

describe("whom a program expects", () => {
  it("is known by the ids that the site's own authority gives", () => {
    const { registry, nsmgr, forwarder, endpoint } = expectedRoles("paris", true, {});
    assert.deepEqual([registry.matches("spiffe://paris/registry"), registry.matches("spiffe://paris/node/a/nsmgr")], [true, false]);
    assert.deepEqual([nsmgr.matches("spiffe://paris/node/a/nsmgr"), nsmgr.matches("spiffe://paris/node/a/forwarder")], [true, false]);
    assert.deepEqual(
      [forwarder.matches("spiffe://paris/node/a/forwarder"), forwarder.matches("spiffe://tokyo/node/a/forwarder")],
      [true, false],
    );
    assert.equal(endpoint.matches("spiffe://paris/any"), true);
    assert.equal(nsmgr.what, "an nsmgr (spiffe://paris/node/*/nsmgr)");
  });

  it("is, at another node, an nsmgr of the site that the URL names, and of the own one else", () => {
    const { remote } = expectedRoles("paris", true, {});
    const ids = [
      "spiffe://paris/node/a/nsmgr",
      "spiffe://tokyo/node/a/nsmgr",
      "spiffe://lima/node/a/nsmgr",
      "spiffe://tokyo/node/a/forwarder",
    ];
    const taken = (ofSite?: string, from = remote) => ids.filter((id) => from(ofSite).matches(id));
    assert.deepEqual([taken(), taken("tokyo")], [[ids[0]], [ids[1]]]);
    const { remote: configured } = expectedRoles("paris", false, { remote: "spiffe://*/node/a/nsmgr" });
    assert.deepEqual([taken(undefined, configured), taken("tokyo", configured)], [ids.slice(0, 3), [ids[1]]]);
    assert.equal(configured("tokyo").what, "an nsmgr (spiffe://*/node/a/nsmgr) of tokyo");
    assert.deepEqual(expectedRoles("paris", false, {}).remote(undefined).what, "an nsmgr (spiffe://paris/**)");
  });

  it("is what the configuration says, and refused when that makes no sense", () => {
    assert.equal(expectedRoles("paris", true, { registry: "spiffe://*/reg" }).registry.matches("spiffe://tokyo/reg"), true);
    throwsWith("invalid", "NSM_PEER_IDS knows registry, nsmgr, remote, forwarder, endpoint", () =>
      expectedRoles("paris", true, { pod: "x" }),
    );
    throwsWith("invalid", "is no SPIFFE id", () => expectedRoles("paris", true, { registry: "x" }));
  });
});
