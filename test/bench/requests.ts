import type { Attachment } from "../../api/gen/isthmus/v1/node.js";
import { AttachRequest } from "../../api/gen/isthmus/v1/node.js";
import type { NodeClient } from "../../rpc/node.js";
import { Lab } from "../lib/lab.js";
import { nodeClient } from "../lib/nodeClient.js";
import { memoryOf } from "./memory.js";
import { type Bench, type Result, result } from "./result.js";
import { quantile, rounded } from "./stats.js";

const prefix = "te-bench";
const patience = (): AbortSignal => AbortSignal.timeout(30_000);

const attach = (node: NodeClient): Promise<Attachment> =>
  node.attach(
    AttachRequest.fromPartial({ networkService: "many", pod: { name: "client", netnsUrl: `file:///run/netns/${prefix}-pod-client` } }),
    patience(),
  );

const detach = (node: NodeClient, attachment: Attachment): Promise<void> => node.detach({ id: attachment.id }, patience());

async function timed<T>(task: () => Promise<T>): Promise<{ ms: number; value: T }> {
  const started = performance.now();
  const value = await task();
  return { ms: performance.now() - started, value };
}

async function lab(use: (lab: Lab, node: NodeClient) => Promise<Result[]>): Promise<Result[]> {
  await using raised = await Lab.up(prefix, { sites: "paris=1,tokyo=1" });
  await raised.pod("client", "paris-1");
  await raised.pod("server", "tokyo-1");
  await raised.serve("tokyo-1", "many", "server", "172.16.16.0/20");
  await using peers = nodeClient(raised, "paris-1");
  return await use(raised, peers.node);
}

/** The first ones make the tunnel and fill the caches. */
const firstUp = 20;
/** By then the compilers of all programs have seen the code often enough; a node in use is past that after minutes. */
const warmed = 1_000;
const measured = 200;

/** From the request to a working interface, over six hops; what was opened is closed before the next. Of programs just started, and of warm ones. */
const latency = (): Promise<Result[]> =>
  lab(async (_, node) => {
    const times: number[] = [];
    for (let turn = 0; turn < warmed + measured; turn++) {
      const { ms, value } = await timed(() => attach(node));
      await detach(node, value);
      times.push(ms);
    }
    const [cold, warm] = [times.slice(firstUp, firstUp + measured), times.slice(warmed)];
    const p = (all: readonly number[], part: number) => rounded(quantile(all, part));
    return [
      result("request-p50", p(warm, 0.5), "ms", { atMost: 10 }, { note: `${measured} requests, after ${warmed} that came and went` }),
      result("request-p99", p(warm, 0.99), "ms", { atMost: 50 }),
      result("request-cold-p50", p(cold, 0.5), "ms", undefined, { note: `${measured} requests, after ${firstUp}` }),
      result("request-cold-p99", p(cold, 0.99), "ms"),
    ];
  });

const count = 500;
/** Opened and closed before what a connection costs is measured: the compilers have seen the code by then, and buffers have their size. */
const warmUp = 60;

/** Five hundred that all stay, one after another; then again, sixteen at a time. */
const many = (): Promise<Result[]> =>
  lab(async (raised, node) => {
    const idle = await memoryOf(raised, "paris-1");
    for (let turn = 0; turn < warmUp; turn++) await detach(node, await attach(node));
    const warm = await memoryOf(raised, "paris-1");
    const oneByOne = await open(node, 1);
    const full = await memoryOf(raised, "paris-1");
    await closeAll(node, oneByOne.attachments);
    const together = await open(node, 16);
    await closeAll(node, together.attachments);
    const growth = median(oneByOne.times.slice(-20)) / median(oneByOne.times.slice(0, 20));
    return [
      ...rate("connections-one-by-one", oneByOne),
      ...rate("connections-16-at-a-time", together),
      result("connection-500th-against-10th", rounded(growth), "ratio", { atMost: 1.2 }, { note: "medians of the last and the first 20" }),
      result("memory-idle", rounded(idle.rssMb), "MB", { atMost: 200 }, { note: `nsmgr and forwarder, PSS ${rounded(idle.pssMb)} MB` }),
      result(
        "memory-per-connection",
        rounded(((full.rssMb - warm.rssMb) * 1024) / count),
        "KB",
        { atMost: 30 },
        {
          note: `resident, after ${warmUp} that came and went`,
        },
      ),
    ];
  });

const median = (values: readonly number[]): number => quantile(values, 0.5);

interface Opened {
  readonly times: readonly number[];
  readonly attachments: readonly Attachment[];
  readonly seconds: number;
}

async function open(node: NodeClient, atATime: number): Promise<Opened> {
  const times: number[] = [];
  const attachments: Attachment[] = [];
  const whole = await timed(() =>
    Promise.all(
      Array.from({ length: atATime }, async () => {
        while (times.length < count) {
          const place = times.push(0) - 1;
          const { ms, value } = await timed(() => attach(node));
          times[place] = ms;
          attachments.push(value);
        }
      }),
    ),
  );
  return { times, attachments, seconds: whole.ms / 1000 };
}

async function closeAll(node: NodeClient, attachments: readonly Attachment[]): Promise<void> {
  const left = [...attachments];
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (let one = left.pop(); one !== undefined; one = left.pop()) await detach(node, one);
    }),
  );
}

function rate(name: string, opened: Opened): Result[] {
  return [
    result(`${name}-p50`, rounded(quantile(opened.times, 0.5)), "ms"),
    result(`${name}-p99`, rounded(quantile(opened.times, 0.99)), "ms"),
    result(`${name}-per-second`, rounded(opened.times.length / opened.seconds), "1/s"),
  ];
}

export const requests: readonly Bench[] = [
  { name: "request", run: latency },
  { name: "connections", run: many },
];
