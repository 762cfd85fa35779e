import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/** Prefixes of the namespaces that tests make; nothing with one of them may outlive a run. */
const ownLabs = "te-(bad|bench|conn|demo|etcd|fed|heal|id|nat|pol|restart|scale|secret|seg[23cmpu]|sinks|spire)";
const ownPrefixes = new RegExp(`^(ka|kb|kc|kf|${ownLabs})-`);

/** The same for what they keep: our programs are told it in their environment, etcd in its flags. */
const ownFolders = new RegExp(`(NSM_STATE_DIR|--data-dir)=/var/lib/isthmus/${ownLabs}/`);

/** Names under /run/netns that belong to tests. */
function testNamespaces(): string[] {
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
      if (ownFolders.test(`${environment}\0${command}`)) found.push(`${pid} ${command}`);
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

// A program, and not hooks of mocha's: several of these run beside one another, and each would take the others' for leftovers.
const [step] = process.argv.slice(2);
if (step === "before") removeLeftovers();
else if (step === "after") {
  const left = [...testNamespaces(), ...testPrograms()];
  if (left.length > 0) {
    console.error(`the tests left these behind: ${left.join(", ")}`);
    process.exitCode = 1;
  }
} else throw new Error(`hygiene: say "before" or "after", not "${step}"`);
