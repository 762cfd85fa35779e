import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { CountedNode, type ReleaseBlocksRequest, type Segment, type SegmentBlock } from "../../../../api/gen/isthmus/v1/segment.js";
import { NetworkService } from "../../../../api/gen/registry/registry.js";
import { run } from "../../../../cli/program.js";
import { MeshError } from "../../../../core/error.js";
import { silent } from "../../../../core/log.js";
import { ruleWords } from "../../../../core/segment/policy.js";
import { systemClock } from "../../../../program/clock.js";
import type { NodeApi } from "../../../../rpc/node.js";
import type { SegmentsApi } from "../../../../rpc/segmentApi.js";
import { type RunningServer, serve } from "../../../../rpc/server.js";
import { newFolder } from "../../../lib/folder.js";
import { member, meshNode, node, told } from "./world.js";

/** A registry's segments, without its rules. */
class Segments implements SegmentsApi {
  readonly known = new Map<string, Segment>();

  async apply(segment: Segment): Promise<Segment> {
    if (segment.layer === "l3" && segment.prefixes.length === 0)
      throw new MeshError("invalid", `the segment ${segment.name} needs a prefix`);
    const version = (this.known.get(segment.name)?.version ?? 0) + 1;
    const siteBlocks = [{ site: "paris", prefixes: ["10.60.0.0/18"] }];
    const applied = { ...segment, home: "paris", version, createdMs: 1_700_000_000_000, siteBlocks };
    this.known.set(segment.name, applied);
    return applied;
  }

  async list(): Promise<readonly Segment[]> {
    return [...this.known.values()];
  }

  async delete({ name, force }: { readonly name: string; readonly force: boolean }): Promise<void> {
    if (!force) throw new MeshError("conflict", `the segment ${name} has 1 member: camera; delete it with --force`);
    this.known.delete(name);
  }

  async listBlocks(): Promise<readonly SegmentBlock[]> {
    const node = "spiffe://paris/node/paris-2";
    return [{ prefix: "10.60.1.0/24", node: `${node}/nsmgr`, holder: `${node}/forwarder`, registered: false, sinceMs: 1_700_000_000_000 }];
  }

  async releaseBlocks({ segment, node, force }: ReleaseBlocksRequest): Promise<readonly SegmentBlock[]> {
    if (node === "paris-1" && !force) throw new MeshError("conflict", `paris-1 is registered, so it gives addresses of ${segment}`);
    return await this.listBlocks();
  }
}

const endpoints = told(node("paris-1", "paris"), [member("camera", { services: ["rtsp:554/tcp"] })]);
let counted: readonly CountedNode[] | MeshError = [];
const api: Pick<NodeApi, "listEndpoints" | "listNodes" | "listConnections" | "listServices" | "readSegmentCounters"> = {
  listEndpoints: async () => endpoints,
  listNodes: async () => [meshNode("paris-1", "paris")],
  listConnections: async () => [],
  listServices: async () => ["plant", "floor"].map((name) => NetworkService.fromPartial({ name })),
  async readSegmentCounters() {
    if (counted instanceof MeshError) throw counted;
    return counted;
  },
};

describe("nsmctl and segments", () => {
  const folder = newFolder();
  const [registry, nsmgr] = ["registry.sock", "node.sock"].map((name) => `unix://${join(folder.path, name)}`);
  const segments = new Segments();
  let servers: RunningServer[] = [];

  before(async () => {
    const shared = { identity: undefined, log: silent, limits: { graceMs: 200 } };
    servers = [
      await serve({ ...shared, urls: [registry ?? ""], services: { segments }, hop: "registry" }),
      await serve({ ...shared, urls: [nsmgr ?? ""], services: { node: api as NodeApi }, hop: "nsmgr" }),
    ];
  });

  beforeEach(() => segments.known.clear());

  after(async () => {
    for (const server of servers) await server[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
  });

  /** An nsmctl outside of a lab, which knows where the two are. */
  async function nsmctl(line: string, ...more: string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
    const said = { out: "", err: "" };
    const into = (stream: "out" | "err") => (text: string) => {
      said[stream] += text;
    };
    const context = {
      ...{ out: into("out"), err: into("err") },
      ...{ env: { NSM_CONNECT_TO: nsmgr }, clock: systemClock, signal: new AbortController().signal },
    };
    const code = await run(context, ["--prefix", "ut-none", ...line.split(" "), ...more]);
    return { code, ...said };
  }
  const at = ["--registry", registry ?? ""];

  it("makes one of what stands on the line, addresses by --prefix too", async () => {
    const line = "create segment plant --layer l3 --prefix 10.60.0.0/16,fd60::/48 --sites paris,tokyo --dns-domain plant.mesh --mtu 1400";
    const labels = ["--allow-label", "role=sensor", "--allow-label", "floor=2", "--exclude", "10.60.0.0/28", "--exclude", "10.60.1.1"];
    const { code, out, err } = await nsmctl(line, ...labels, ...at);
    assert.deepEqual([code, out, err], [0, "plant: version 1, l3, 10.60.0.0/16 and fd60::/48, in paris, tokyo\n", ""]);
    const { layer, prefixes, sites, mtu, dnsDomain, allowLabels, exclude, floodUnknown } = segments.known.get("plant") ?? assert.fail();
    assert.deepEqual([layer, prefixes, sites], ["l3", ["10.60.0.0/16", "fd60::/48"], ["paris", "tokyo"]]);
    assert.deepEqual([mtu, dnsDomain, allowLabels], [1400, "plant.mesh", { role: "sensor", floor: "2" }]);
    assert.deepEqual([exclude, floodUnknown], [["10.60.0.0/28", "10.60.1.1"], false]);
    await nsmctl("create segment floor --layer l2 --flood-unknown", ...at);
    assert.deepEqual([segments.known.get("floor")?.floodUnknown, segments.known.get("floor")?.mtu], [true, 0]);
  });

  it("makes one with rules between members, written as they are shown", async () => {
    const rules = ["role=hmi,zone=a -> role=plc: 502/tcp, 161/udp", "all -> role=plc: everything", "role=plc->all"];
    const { code, out, err } = await nsmctl("create segment cell --layer l2", ...rules.flatMap((rule) => ["--allow", rule]), ...at);
    assert.deepEqual([code, out, err], [0, "cell: version 1, l2, without addresses, in paris, with 3 rules between members\n", ""]);
    assert.deepEqual(segments.known.get("cell")?.policy.map(ruleWords), [...rules.slice(0, 2), "role=plc -> all: everything"]);
    for (const [wrong, words] of [
      ["role=hmi", /--allow takes a rule such as "role=hmi -> role=plc: 502\/tcp, 161\/udp", or all for everybody, got "role=hmi"/],
      ["role -> all", /--allow takes key=value made of letters.*got "role"/],
      ["a=b -> c=d -> e=f", /--allow takes a rule/],
    ] as const)
      assert.match((await nsmctl("create segment bad --layer l2", "--allow", wrong, ...at)).err, words);
  });

  it("applies a file, one after the other, and says what was done before something failed", async () => {
    assert.equal((await nsmctl("apply -f examples/segment.yaml", ...at)).code, 0);
    const { code, out } = await nsmctl("apply -f examples/segment.yaml", ...at);
    assert.deepEqual([code, out.split("\n").length, out.split("\n")[1]], [0, 3, "floor: version 2, l2, 10.70.0.0/16, in paris"]);
    const path = join(folder.path, "segments.yaml");
    writeFileSync(path, "kind: Segment\nname: one\nlayer: l2\n---\nkind: Segment\nname: two\nlayer: l3\n");
    const failed = await nsmctl("apply -f", path, ...at);
    assert.equal(failed.out, "one: version 1, l2, without addresses, in paris\n");
    assert.match(failed.err, /^nsmctl: the segment two needs a prefix\n/);
    assert.equal(failed.code, 1);
    writeFileSync(path, "kind: Segment\nname: three\nlayer: l2\n---\nkind: Segment\nname: four\n");
    assert.equal((await nsmctl("apply -f", path, ...at)).code, 2);
    assert.equal(segments.known.has("three"), false, "a file with a mistake changes nothing");
  });

  it("shows what nodes have of one, and takes it back from one that is gone", async () => {
    assert.equal(
      (await nsmctl("get blocks plant", ...at)).out,
      "PREFIX        NODE                               REGISTERED  SINCE\n10.60.1.0/24  spiffe://paris/node/paris-2/nsmgr  no          2023-11-14T22:13:20.000Z\n",
    );
    const { code, out } = await nsmctl("delete blocks plant paris-2", ...at);
    assert.deepEqual([code, out], [0, "10.60.1.0/24 of the segment plant can be given to others\n"]);
    const refused = await nsmctl("delete blocks plant paris-1", ...at);
    assert.deepEqual([refused.code, /^nsmctl: paris-1 is registered, so/.test(refused.err)], [1, true]);
    assert.equal((await nsmctl("delete blocks plant paris-1 --force", ...at)).code, 0);
    assert.equal((await nsmctl("get blocks", ...at)).code, 2);
  });

  it("lists and describes them", async () => {
    assert.match((await nsmctl("get segments", ...at)).out, /^no segments$/m);
    await nsmctl("create segment plant --layer l3 --prefix 10.60.0.0/16", ...at);
    assert.equal(
      (await nsmctl("get segments", ...at)).out,
      "NAME   LAYER  PREFIXES      SITES  MTU   DNS DOMAIN  HOME   VERSION\nplant  l3     10.60.0.0/16  paris  auto  -           paris  1\n",
    );
    const [listed] = JSON.parse((await nsmctl("get segments -o json", ...at)).out) as { siteBlocks: unknown }[];
    assert.deepEqual(listed?.siteBlocks, { paris: ["10.60.0.0/18"] });
    const described = (await nsmctl("describe segment plant", ...at)).out;
    assert.match(described, /^siteBlocks:\n {2}paris:\n {4}- 10\.60\.0\.0\/18\ncarries: 1366\nnodes:\n {2}- name: paris-1\n/m);
    assert.match(described, /^members: 1$/m);
    const { code, err } = await nsmctl("describe segment floor", ...at);
    assert.deepEqual([code, err], [1, "nsmctl: no segment floor; there are: plant\n"]);
  });

  it("shows what the node that is asked has counted, as a table and for programs", async () => {
    await nsmctl("create segment plant --layer l3 --prefix 10.60.0.0/16", ...at);
    const described = async () => (await nsmctl("describe segment plant", ...at)).out.split("\n").slice(-5).join("\n");
    assert.match(await described(), /counters: none, the node that was asked has no members; `nsmctl --node NODE describe segment plant`/);
    counted = new MeshError("unreachable", "no forwarder answers");
    assert.match(await described(), /\ncounters are not known: no forwarder answers\n$/);
    const traffic = { receivedPackets: 10, receivedBytes: 840, sentPackets: 12, sentBytes: 1_000 };
    counted = [
      CountedNode.fromPartial({ node: "paris-1", others: traffic, members: [{ name: "camera", traffic, spoofed: 2, flooded: 0 }] }),
    ];
    assert.equal(
      await described(),
      [
        "counters at paris-1:",
        "MEMBER         RECEIVED PACKETS  RECEIVED BYTES  SENT PACKETS  SENT BYTES  SPOOFED  FLOODED",
        "camera         10                840             12            1000        2        0",
        "(other nodes)  10                840             12            1000        -        -",
        "",
      ].join("\n"),
    );
    const { counters } = JSON.parse((await nsmctl("describe segment plant -o json", ...at)).out) as { counters: unknown };
    assert.deepEqual(counters, [{ node: "paris-1", others: traffic, members: [{ name: "camera", ...traffic, spoofed: 2, flooded: 0 }] }]);
  });

  it("lists who is in one, as the node knows", async () => {
    assert.equal(
      (await nsmctl("get members plant")).out,
      "NAME    NODE     SITE   ADDRESSES  MAC                ANNOUNCES  SERVICES      MISDEEDS\ncamera  paris-1  paris  10.60.0.5  02:00:00:00:00:01  -          rtsp:554/tcp  -\n",
    );
    const [found] = JSON.parse((await nsmctl("get members plant -o json")).out) as { segment: string; addresses: string[] }[];
    assert.deepEqual([found?.segment, found?.addresses], ["plant", ["10.60.0.5"]]);
    assert.equal((await nsmctl("get members floor")).out, "no members\n");
    for (const command of ["get members flor", "graph --segment flor"]) {
      const { code, err } = await nsmctl(command);
      assert.deepEqual([code, err], [1, "nsmctl: no segment flor; `nsmctl get segments` lists those that there are\n"]);
    }
  });

  it("deletes one, with members only by force", async () => {
    await nsmctl("create segment plant --layer l2", ...at);
    const { code, err } = await nsmctl("delete segment plant", ...at);
    assert.deepEqual([code, err.split("\n")[0]], [1, "nsmctl: the segment plant has 1 member: camera; delete it with --force"]);
    assert.equal((await nsmctl("delete segment plant --force", ...at)).out, "the segment plant is deleted\n");
    assert.equal(segments.known.size, 0);
  });

  it("draws what a node knows", async () => {
    assert.match((await nsmctl("graph")).out, /^flowchart LR\n {2}subgraph site1\["paris"\]\n {4}node2\["paris-1"\]\n {4}member3/);
    const { sites } = JSON.parse((await nsmctl("graph --segment plant -o json")).out) as { sites: unknown };
    assert.deepEqual(sites, [{ name: "paris", nodes: ["paris-1"] }]);
  });

  it("completes names of members", async () => {
    assert.equal((await nsmctl("__complete --", "ping", "")).out, "camera\n");
    assert.equal((await nsmctl("__complete --", "ping", "--segment", "floor", "")).out, "");
  });

  it("pings nobody who is not there", async () => {
    const { code, err } = await nsmctl("ping dog --netns /proc/self/ns/net");
    assert.deepEqual([code, err], [1, "nsmctl: no member dog in plant; there are: camera\n"]);
  });
});
