import assert from "node:assert/strict";
import { check } from "../lib/command.js";
import { Lab } from "../lib/lab.js";
import { until } from "../lib/until.js";

describe("bad input", function () {
  this.timeout(120_000);
  let lab: Lab;

  before(async () => {
    lab = await Lab.up("te-bad", { sites: "paris=1,tokyo=1" });
    await Promise.all([lab.pod("client", "paris-1"), lab.pod("server", "tokyo-1"), lab.pod("small", "tokyo-1")]);
    await lab.serve("tokyo-1", "camera-feed", "server", "172.16.1.0/24", "--label", "quality=high");
    await lab.serve("tokyo-1", "tiny", "small", "172.16.9.0/31");
  });

  after(async () => {
    await lab[Symbol.asyncDispose]();
  });

  /** A request that fails with exit `code` and one sentence that matches all of `words`. */
  async function refused(code: number, words: readonly RegExp[], ...args: string[]): Promise<void> {
    const done = await lab.tryCtl("--node", "paris-1", "request-connection", ...args);
    assert.equal(done.code, code, done.stderr || done.stdout);
    for (const word of words) assert.match(done.stderr, word);
    assert.equal(done.stdout, "");
    assert.doesNotMatch(done.stderr, /\n\s+at |Error:.*Error:/, "no stack trace");
  }

  /** Nothing is left of what was refused, at any hop. */
  async function nothingLeft(connections = 0): Promise<void> {
    for (const node of ["paris-1", "tokyo-1"]) {
      await until(`${node} holds ${connections} connections`, 2_000, async () => {
        const list = await lab.json<unknown[]>("--node", node, "get", "connections");
        const links = JSON.parse(await check("ip", ["-j", "-n", `${lab.prefix}-${node}-mesh`, "link", "show"])) as { ifname: string }[];
        return list.length === connections && links.length <= 2 + 2 * connections;
      });
    }
  }

  afterEach(() => nothingLeft());

  it("a service nobody serves: the nearest names are said", () =>
    refused(1, [/camera-fed/, /camera-feed/], "camera-fed", "--pod", "client", "--timeout", "2s"));

  it("labels that no endpoint has: those that were there are said", () =>
    refused(1, [/quality=low/, /quality=high/], "camera-feed", "--pod", "client", "--label", "quality=low", "--timeout", "2s"));

  it("an interface name that is too long", () =>
    refused(2, [/averylonginterface/, /15/], "camera-feed", "--pod", "client", "--interface", "averylonginterface"));

  it("an interface name with a slash", () => refused(2, [/a\/b/], "camera-feed", "--pod", "client", "--interface", "a/b"));

  it("an interface that exists already", () =>
    refused(1, [/"?lo"?/, /exists|already/], "camera-feed", "--pod", "client", "--interface", "lo", "--timeout", "2s"));

  it("a namespace path that is missing", () => refused(1, [/\/run\/netns\/nowhere/], "camera-feed", "--netns", "/run/netns/nowhere"));

  it("a path that is no network namespace", () =>
    refused(1, [/\/etc\/hostname/, /network namespace/], "camera-feed", "--netns", "/etc/hostname"));

  it("a CIDR that is malformed", async () => {
    const done = await lab.tryCtl("--node", "tokyo-1", "serve", "x", "--pod", "server", "--cidr", "172.16.1.0/33", "--detach");
    assert.equal(done.code, 2);
    assert.match(done.stderr, /172\.16\.1\.0\/33/);
  });

  it("a range that is used up: how many are in use is said", async () => {
    const first = await lab.request("paris-1", "tiny", "client");
    await refused(1, [/172\.16\.9\.0\/31/, /2 of 2|2 in use|2 are in use/], "tiny", "--pod", "client", "--timeout", "2s");
    await nothingLeft(1);
    await lab.close("paris-1", first.id);
  });

  it("a mechanism that cannot carry the payload", () =>
    refused(1, [/vxlan/, /ETHERNET/], "camera-feed", "--pod", "client", "--mechanism", "vxlan", "--timeout", "2s"));

  it("a node whose nsmgr is away", async () => {
    await lab.ctl("lab", "kill", "paris-1/nsmgr");
    await refused(1, [/nsmgr/, /node\.sock/], "camera-feed", "--pod", "client");
    await lab.ctl("lab", "start", "paris-1/nsmgr");
  });

  it("a node whose forwarder is away", async () => {
    await lab.ctl("lab", "kill", "paris-1/forwarder");
    await refused(1, [/forwarder/, /paris-1/], "camera-feed", "--pod", "client", "--timeout", "3s");
    await lab.ctl("lab", "start", "paris-1/forwarder");
  });

  it("a registry that is away: a name never heard of says which one is missing, and it serves again when it is back", async () => {
    await lab.ctl("lab", "kill", "paris");
    await refused(1, [/registry/, /5002/], "never-heard-of", "--pod", "client", "--timeout", "3s");
    await lab.ctl("lab", "start", "paris");
    await until("the registry serves again", 10_000, async () => {
      const connection = await lab.request("paris-1", "camera-feed", "client");
      await lab.close("paris-1", connection.id);
      return true;
    });
  });

  it("a request that is cancelled half-way", async () => {
    const { programs } = await lab.json<{ programs: { node: string; program: string; pid: number }[] }>("lab", "status");
    const frozen = programs.find((one) => one.node === "tokyo-1" && one.program === "forwarder")?.pid ?? assert.fail("no forwarder");
    process.kill(frozen, "SIGSTOP");
    try {
      await using asking = lab.start("--node", "paris-1", "request-connection", "camera-feed", "--pod", "client", "--timeout", "30s");
      await until(
        "the request is under way",
        5_000,
        async () => (await lab.json<unknown[]>("--node", "paris-1", "get", "attachments")).length > 0,
      );
      await asking.stop("SIGINT");
      await until(
        "the attachment is gone",
        5_000,
        async () => (await lab.json<unknown[]>("--node", "paris-1", "get", "attachments")).length === 0,
      );
    } finally {
      process.kill(frozen, "SIGCONT");
    }
  });
});
