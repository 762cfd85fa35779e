import assert from "node:assert/strict";
import { AttachRequest } from "../../api/gen/isthmus/v1/node.js";
import { Lab } from "../lib/lab.js";
import { nodeClient } from "../lib/nodeClient.js";
import { bare, pingAll } from "../lib/ping.js";
import { PingStream } from "../lib/stream.js";
import { until } from "../lib/until.js";

const layers = {
  l3: { segment: "plant", prefixes: "10.60.0.0/16,fd60::/48" },
  l2: { segment: "lan", prefixes: "10.61.0.0/16,fd61::/48" },
} as const;

const nodes = ["paris-1", "tokyo-1", "lima-1"] as const;
type NodeName = (typeof nodes)[number];

/** A pod that is in a segment by the name `cam`. */
interface Member {
  readonly node: NodeName;
  readonly pod: string;
  readonly id: string;
  readonly interface: string;
  readonly addresses: readonly string[];
}

const forever = new AbortController().signal;

describe("a member of a segment that moves", function () {
  this.timeout(180_000);
  let lab: Lab;
  /** What is measured is the mesh, and not how long an nsmctl takes to start. */
  let clients: Record<NodeName, ReturnType<typeof nodeClient>>;
  let pods = 0;

  before(async () => {
    lab = await Lab.up("te-segm", { sites: "paris=1,tokyo=1,lima=1" });
    clients = Object.fromEntries(nodes.map((node) => [node, nodeClient(lab, node)])) as typeof clients;
  });

  after(async () => {
    for (const client of Object.values(clients)) await client[Symbol.asyncDispose]();
    await lab[Symbol.asyncDispose]();
  });

  const newPod = async (node: NodeName) => {
    const name = `p${pods++}`;
    await lab.pod(name, node);
    return name;
  };

  for (const [layer, { segment, prefixes }] of Object.entries(layers))
    describe(`on ${layer}`, () => {
      const watcherPod = `watcher-${layer}`;
      let watching: readonly string[];
      let cam: Member;

      const join = async (node: NodeName, pod: string): Promise<Member> => {
        const wanted = { networkService: segment, pod: { name: pod, netnsUrl: `file://${lab.netns(`pod-${pod}`)}` }, sticky: "cam" };
        const attachment = await clients[node].node.attach(AttachRequest.fromPartial(wanted), forever);
        const addresses = attachment.connection?.context?.ipContext?.srcIpAddrs ?? [];
        return { node, pod, id: attachment.id, interface: attachment.interface, addresses };
      };
      const leave = ({ node, id }: Member) => clients[node].node.detach({ id }, forever);
      /** Whether the node keeps the connection, and the pod has the interface. */
      const has = async ({ node, pod, id, interface: device }: Member) => [
        (await clients[node].node.listAttachments(forever)).some((attachment) => attachment.id === id),
        (await lab.exec(`pod-${pod}`, "ip", "link")).includes(device),
      ];

      before(async () => {
        await lab.ctl("create", "segment", segment, "--layer", layer, "--prefix", prefixes, "--sites", "paris,tokyo,lima");
        for (const node of ["tokyo-1", "lima-1"])
          await until(`${node} knows the segment`, 5_000, async () => (await lab.ctl("--node", node, "get", "services")).includes(segment));
        await lab.pod(watcherPod, "lima-1");
        watching = (await lab.request("lima-1", segment, watcherPod)).addresses;
        cam = await join("paris-1", await newPod("paris-1"));
      });

      /** It is pinged at one of its addresses while it moves: it keeps them, the former one ends, and the silence is short. */
      const mustMove = async (family: 0 | 1, move: () => Promise<Member>): Promise<void> => {
        const before = cam;
        assert.deepEqual(await has(before), [true, true]);
        await using stream = await PingStream.start(lab, watcherPod, before.addresses[family] ?? "");
        await stream.answers(50);
        cam = await move();
        assert.deepEqual(cam.addresses, before.addresses);
        await until("the former one has ended", 5_000, async () => (await has(before)).join() === "false,false");
        // By now only the new one can answer.
        await stream.answers(50);
        const { longestGapMs } = await stream.stop();
        assert.ok(longestGapMs < 1_000, `nobody answered for ${longestGapMs} ms`);
        await pingAll(lab, watcherPod, cam.addresses);
        await pingAll(lab, cam.pod, watching);
      };

      it("has the same addresses on another node, and the one that was left open ends", async () => {
        const pod = await newPod("tokyo-1");
        await mustMove(0, () => join("tokyo-1", pod));
      });

      it("is there again at once when it was closed first", async () => {
        const pod = await newPod("paris-1");
        await mustMove(1, async () => {
          await leave(cam);
          return await join("paris-1", pod);
        });
      });

      it("moves within a node too", async () => {
        const pod = await newPod("paris-1");
        await mustMove(0, () => join("paris-1", pod));
      });

      it("stays when all programs were killed and started again, and has its addresses still when it moves then", async () => {
        await using stream = await PingStream.start(lab, watcherPod, bare(cam.addresses[0] ?? ""));
        await stream.answers(20);
        await lab.ctl("lab", "kill");
        await stream.answers(20);
        await lab.ctl("lab", "start");
        assert.equal((await stream.stop()).lost, 0);
        const pod = await newPod("tokyo-1");
        await mustMove(0, () => until("another pod joins", 15_000, () => join("tokyo-1", pod)));
      });
    });
});
