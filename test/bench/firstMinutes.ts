import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { check } from "../lib/command.js";
import { type Bench, result } from "./result.js";
import { rounded } from "./stats.js";

const root = resolve(import.meta.dirname, "../..");

/** A newcomer's way from a clone to the first answer across two sites; packages come from the local cache. */
async function cleanCloneToPing(): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "isthmus-clone-"));
  const clone = join(folder, "isthmus");
  const nsmctl = (...args: string[]): Promise<string> =>
    check(process.execPath, [join(clone, "dist/cli/main.js"), "--prefix", "te-bench", ...args], { timeoutMs: 120_000 });
  const started = performance.now();
  try {
    await check("git", ["clone", "--quiet", root, clone]);
    await check("npm", ["ci", "--prefer-offline", "--prefix", clone], { timeoutMs: 300_000 });
    await check("npm", ["run", "--silent", "--prefix", clone, "build"], { timeoutMs: 120_000 });
    await nsmctl("lab", "up", "--sites", "paris=1,tokyo=1");
    await nsmctl("lab", "pod", "add", "client", "--node", "paris-1");
    await nsmctl("lab", "pod", "add", "server", "--node", "tokyo-1");
    await nsmctl("--node", "tokyo-1", "serve", "first", "--pod", "server", "--cidr", "172.16.1.0/24", "--detach");
    const answer = JSON.parse(await nsmctl("--node", "paris-1", "request-connection", "first", "--pod", "client", "-o", "json")) as {
      peerAddresses: string[];
    };
    await check("nsenter", [
      "--net=/run/netns/te-bench-pod-client",
      "--",
      "ping",
      "-n",
      "-c",
      "1",
      "-W",
      "2",
      (answer.peerAddresses[0] ?? "").split("/")[0] ?? "",
    ]);
    return (performance.now() - started) / 1000;
  } finally {
    await nsmctl("lab", "down");
    await rm(folder, { recursive: true, force: true });
  }
}

export const firstMinutes: readonly Bench[] = [
  {
    name: "clean-clone-to-ping",
    run: async () => [
      result("clean-clone-to-ping", rounded(await cleanCloneToPing()), "s", { atMost: 60 }, { note: "packages from the local cache" }),
    ],
  },
];
