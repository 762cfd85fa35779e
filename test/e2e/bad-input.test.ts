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

  describe("of segments", () => {
    before(async () => {
      await lab.ctl(...["create", "segment", "plant", "--layer", "l3", "--prefix", "10.60.0.0/24,fd60::/64", "--sites", "paris,tokyo"]);
      await lab.ctl(...["create", "segment", "floor", "--layer", "l2", "--prefix", "10.70.0.0/24", "--allow-label", "role=hmi"]);
    });

    after(async () => {
      for (const name of ["plant", "floor"]) await lab.ctl("delete", "segment", name);
    });

    const made: [what: string, code: number, args: string, words: RegExp][] = [
      [
        "prefixes that overlap",
        2,
        "create segment x --layer l3 --prefix 10.1.0.0/16,10.1.2.0/24",
        /--prefix takes one prefix per family, got "10\.1/,
      ],
      [
        "a prefix that is too small for its sites",
        1,
        "create segment x --layer l3 --prefix 10.1.0.0/29 --sites paris,tokyo",
        /\/29 .*too small for 2 sites; \/28 or larger/,
      ],
      [
        "a name that a segment of another layer has",
        1,
        "create segment plant --layer l2 --prefix 10.60.0.0/24,fd60::/64",
        /plant cannot be changed: l3 there, l2 here; delete the segment first, or/,
      ],
      [
        "an MTU below 1280 with IPv6",
        1,
        "create segment x --layer l3 --prefix fd61::/64 --mtu 1279",
        /must be 1280 to 9000, for IPv6 wants 1280, or auto .*got 1279/,
      ],
      [
        "a site that is not joined",
        1,
        "create segment x --layer l3 --prefix 10.1.0.0/16 --sites paris,rome",
        /names rome, which paris is not joined with; .*tokyo; join it first with nsmctl site join/,
      ],
      [
        "a segment that was made elsewhere",
        1,
        "delete segment plant --registry tokyo",
        /made in paris, and what is here is a copy; change or delete it in paris/,
      ],
      [
        "a segment that this site has no part in",
        1,
        "request-connection floor --pod server --timeout 2s",
        /no endpoint serves "floor" at the moment\n[\s\S]*a segment must have this site among its sites/,
      ],
      ["members of one that is not there", 1, "get members plan", /no segment plan; `nsmctl get segments`/],
    ];
    for (const [what, code, args, words] of made)
      it(`${what}`, async () => {
        const done = await lab.tryCtl(...args.split(" "));
        assert.equal(done.code, code, done.stderr || done.stdout);
        assert.match(done.stderr, words);
      });

    it("an address that nobody can have", async () => {
      const ask = (ip: string, words: RegExp) => refused(1, [words], "plant", "--pod", "client", "--ip", ip, "--timeout", "2s");
      await ask("10.99.0.1", /10\.99\.0\.1 is no address of the segment plant, which has 10\.60\.0\.0\/24 and fd60::\/64/);
      await ask("10.60.0.0", /10\.60\.0\.0 is the network's own or its broadcast address in the segment plant; choose another/);
      await ask("10.60.0.255", /10\.60\.0\.255 is the network's own or its broadcast address/);
      await ask(
        "10.60.0.200",
        /10\.60\.0\.200 of the segment plant is not paris's to give; that gives out 10\.60\.0\.0\/25, choose of those/,
      );
    });

    it("a label that the pod does not have by what its node says of it", () =>
      refused(1, [/takes only clients with role=hmi/], "floor", "--pod", "client", "--pod-label", "role=plc", "--label", "role=hmi"));

    it("an address that is taken, an interface of one name, and a segment that has members", async () => {
      await lab.pod("twin", "paris-1");
      const first = await lab.request("paris-1", "plant", "client", "--ip", "10.60.0.2");
      assert.equal(first.interface, "nsm0", "what was refused holds no name");
      await refused(
        1,
        [/10\.60\.0\.2 is another member's in the segment plant; choose another/],
        "plant",
        "--pod",
        "twin",
        "--ip",
        "10.60.0.2",
        "--timeout",
        "2s",
      );
      await refused(
        1,
        [/interface nsm0 .* belongs to attachment .*; take another name, or close that one first/],
        "floor",
        "--pod",
        "client",
        "--interface",
        "nsm0",
        "--timeout",
        "2s",
      );
      const done = await lab.tryCtl("delete", "segment", "plant");
      assert.equal(done.code, 1);
      assert.match(done.stderr, /plant has 1 member: client; let them leave, or delete it with --force, which cuts them off/);
      await lab.close("paris-1", first.id);
    });
  });

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
