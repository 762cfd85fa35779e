import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/** Prefixes of the namespaces that tests make; nothing with one of them may outlive a run. */
const ownPrefixes = /^(ka|kb|kc|kf|te-(bad|bench|conn|demo|fed|heal|id|nat|pol|restart|scale|secret|sinks))-/;

/** Names under /run/netns that belong to tests. */
export function testNamespaces(): string[] {
  try {
    return readdirSync("/run/netns").filter((name) => ownPrefixes.test(name));
  } catch {
    return [];
  }
}

/** Command lines of programs of ours that run in a namespace or folder of a test. */
function testPrograms(): string[] {
  const found: string[] = [];
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, "utf8");
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
      if (/NSM_STATE_DIR=\/var\/lib\/isthmus\/te-(bad|bench|conn|demo|fed|heal|id|nat|pol|restart|scale|secret|sinks)\//.test(environment))
        found.push(`${pid} ${command}`);
    } catch {
      // It ended while we looked.
    }
  }
  return found;
}

/** Ends and removes what a killed run left behind. */
function removeLeftovers(): void {
  for (const program of testPrograms()) process.kill(Number.parseInt(program, 10), "SIGKILL");
  for (const name of testNamespaces()) execFileSync("ip", ["netns", "del", name]);
}

export const mochaHooks = {
  beforeAll(): void {
    removeLeftovers();
  },
  afterAll(): void {
    const left = [...testNamespaces(), ...testPrograms()];
    if (left.length > 0) throw new Error(`the tests left these behind: ${left.join(", ")}`);
  },
};
